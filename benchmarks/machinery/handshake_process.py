"""The processes of the row about handshakes.

``python -m benchmarks.machinery.handshake_process exchange KEY RATE|none`` serves with that limit of handshakes
a second for each address, and ``… flood URL KEY RATE`` sends hellos with the exchange's public key. Both print one line
of JSON, the second after its first hello, and end when their standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.transport import Closed, OpenOptions, Transport, opener
from cryptoproto.wire import ClientHello
from cryptoproto.wire.handshake import client_hello

from .runtime import run

__all__ = ["main"]


class _Ignore:
    """A listener that reads nothing."""

    def on_open(self, transport: Transport) -> None:
        pass

    def on_message(self, data: bytes, more: bool = False) -> None:
        pass

    def on_text(self, text: str) -> None:
        pass

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        pass


async def _serve(key_path: str, rate: str) -> None:
    async with Exchange(handshake_rate=None if rate == "none" else float(rate)) as exchange:
        exchange.register("alice", cp.PublicKey.load(key_path), {"USD": 1000})
        _print({"url": exchange.url, "public_key": exchange.public_key.to_pem().decode()})
        await _until_input_ends()


async def _flood(url: str, key_path: str, rate: str) -> None:
    hello = client_hello(ClientHello("nobody", 0, bytes(32)), cp.PublicKey.load(key_path))
    begun = asyncio.Event()
    flood = asyncio.create_task(_send_hellos(url, hello, float(rate), begun))
    await begun.wait()
    _print({})
    await _until_input_ends()
    flood.cancel()
    with suppress(asyncio.CancelledError):
        await flood


async def _send_hellos(url: str, hello: bytes, rate: float, begun: asyncio.Event) -> None:
    open_link = opener("websockets")
    start = time.monotonic()
    sent = 0
    while True:
        link = await open_link(url, _Ignore(), OpenOptions())
        link.send(hello)
        begun.set()
        sent += 1
        await asyncio.sleep(max(0.0, start + sent / rate - time.monotonic()))


async def _until_input_ends() -> None:
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def _print(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


_PARTS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"exchange": _serve, "flood": _flood}


def main(part: str, *arguments: str) -> None:
    run(_PARTS[part](*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
