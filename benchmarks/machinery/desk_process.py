"""The processes of the gateway's rows; each prints one line of JSON and ends when its standard input is closed.

``python -m benchmarks.machinery.desk_process nats`` runs nats-server on loopback. ``… gateway FOLDER NATS URL`` runs a
gateway, which also answers requests to ``echo.SIZE`` with SIZE bytes. ``… orders URL FOLDER COUNT`` makes history:
places COUNT orders as alice. ``… strategies NATS COUNT`` runs strategies that only listen. ``… reader NATS NAME COUNT``
runs one that reads COUNT events, and then prints when it received the last one.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import IO, Any

from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

import cryptoproto as cp
from cryptoproto.gateway import Gateway, GatewayClient

from .runtime import run

__all__ = ["main"]


def _nats() -> None:
    with tempfile.TemporaryDirectory(prefix="cryptoproto-bench-") as folder:
        program = Path(sys.executable).parent / "nats-server"
        arguments = [str(program), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", folder]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as server:
            try:
                assert server.stderr is not None
                _print({"url": f"nats://{_listening_address(server.stderr)}"})
                threading.Thread(target=server.stderr.read, daemon=True).start()  # or the pipe would fill up
                sys.stdin.read()
            finally:
                server.kill()


def _listening_address(log: IO[str]) -> str:
    """The host and port that nats-server listens on, once it says so."""
    said = []
    for line in log:
        said.append(line)
        if found := re.search(r"Listening for client connections on (\S+)", line):
            return found[1]
    raise RuntimeError(f"nats-server ended: {''.join(said)}")


async def _gateway(folder: str, nats_url: str, url: str) -> None:
    async with Gateway(nats_url, url=url, **_identity(folder)):
        _print({"pid": os.getpid()})
        nc = Nats()
        await nc.connect(nats_url)

        async def echo(message: Msg) -> None:
            await nc.publish(message.reply, b"x" * int(message.subject[5:]))

        await nc.subscribe("echo.*", cb=echo)
        await _until_closed()
        await nc.close()


async def _orders(url: str, folder: str, count: str) -> None:
    """Orders that take nothing and do not rest: two events each."""
    async with cp.connect(url, **_identity(folder)) as connection:
        for number in range(1, int(count) + 1):
            await connection.send(
                cp.PlaceBuyIoCOrder(trade_pair="BTC_USD", amount="0.01", price="100", client_order_id=number)
            )
        await connection.request(cp.UserBalanceRequest(), timeout=120)
    _print({"placed": int(count)})
    await _until_closed()


async def _strategies(nats_url: str, count: str) -> None:
    async with AsyncExitStack() as stack:
        for number in range(int(count)):
            client = GatewayClient(nats_url, client_id="alice", strategy=f"listener-{number}")
            await stack.enter_async_context(client)
        _print({"strategies": int(count)})
        await _until_closed()


async def _reader(nats_url: str, name: str, count: str) -> None:
    async with GatewayClient(nats_url, client_id="alice", strategy=name, sees_all=True) as client:
        _print({"strategy": name})
        left = int(count)
        async for event in client.events():
            left -= event.transaction_id is not None
            if not left:
                _print({"last_ns": event.received_ns})
                break
        await _until_closed()


def _identity(folder: str) -> dict[str, Any]:
    return {
        "client_id": "alice",
        "private_key": cp.PrivateKey.load(f"{folder}/alice.pem"),
        "server_key": cp.PublicKey.load(f"{folder}/exchange.pub"),
    }


async def _until_closed() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


_COMMANDS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "gateway": _gateway,
    "orders": _orders,
    "reader": _reader,
    "strategies": _strategies,
}


def main() -> None:
    """Run one of the processes."""
    if sys.argv[1] == "nats":
        _nats()
        return
    run(_COMMANDS[sys.argv[1]](*sys.argv[2:]))


if __name__ == "__main__":
    main()
