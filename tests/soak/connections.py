"""Many connections to one exchange, and how late its event loop becomes.

``python -m tests.soak.connections --connections 1000`` runs the exchange in a process of its own and the clients here;
``RUNS`` names a file for the figures. The lag is how much later than asked a timer of 10 ms fires in the exchange.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.soak.samples import memory_mib
from tests.support.lives import ROOT
from tests.support.run_summary import record_run

TICK_S: Final = 0.01
AT_ONCE: Final = 50  # connections that are opened at the same time


async def serve(connections: int, key_file: str) -> None:
    """An exchange without a journal. Each line on the standard input asks for the lag since the last one."""
    key = cp.PublicKey.load(key_file)
    lags: list[float] = []

    async def measure() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            lags.append(loop.time() - due)

    async with Exchange(handshake_rate=None) as exchange:
        for number in range(connections):
            exchange.register(f"client{number}", key, {"USD": "1000", "BTC": "10"})
        _say({"url": exchange.url, "key": exchange.public_key.to_pem().decode()})
        measuring = asyncio.create_task(measure())
        while await asyncio.to_thread(sys.stdin.readline):
            taken, lags[:] = sorted(lags), []
            _say(
                {
                    "lag p50 ms": round(1000 * taken[len(taken) // 2], 2),
                    "lag p99 ms": round(1000 * taken[len(taken) * 99 // 100], 2),
                    "lag max ms": round(1000 * taken[-1], 2),
                    "memory MiB": round(memory_mib(), 1),
                    "connected": len(exchange.connected_clients),
                }
            )
        measuring.cancel()


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Floor:
    """The process of the exchange, and the connections to it."""

    def __init__(self, process: asyncio.subprocess.Process, key: cp.PrivateKey, started: dict[str, str]) -> None:
        self.links: list[cp.Connection] = []
        self._process = process
        self._key = key
        self._url, self._server_key = started["url"], cp.PublicKey.from_pem(started["key"].encode())

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, connections: int, folder: Path) -> AsyncIterator[Floor]:
        key = cp.PrivateKey.generate()
        key.public_key.save(folder / "client.pub")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.soak.connections", "--serve", str(folder / "client.pub"),
            "--connections", str(connections),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        floor = cls(process, key, json.loads(await process.stdout.readline()))
        try:
            yield floor
        finally:
            await asyncio.gather(*(link.close() for link in floor.links))
            process.stdin.close()
            await process.wait()

    async def open(self, number: int) -> None:
        self.links.append(
            await cp.connect(
                self._url, client_id=f"client{number}", private_key=self._key, server_key=self._server_key,
                resume_from=-1, protocol=cp.Protocol.V5, open_timeout=60.0,
            )
        )  # fmt: skip

    async def lag(self) -> dict[str, float]:
        """The lag since the last time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"lag\n")
        figures: dict[str, float] = json.loads(await self._process.stdout.readline())
        return figures


async def run(connections: int, idle_s: float) -> dict[str, dict[str, float]]:
    """Open the connections, leave them alone, and have each place an order and ask for its balance."""
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with Floor.of(connections, Path(folder)) as floor:
            for start in range(0, connections, AT_ONCE):
                await asyncio.gather(*(floor.open(n) for n in range(start, min(start + AT_ONCE, connections))))
            figures["while they are opened"] = await floor.lag()
            await asyncio.sleep(idle_s)
            figures["while they are idle"] = await floor.lag()
            order = cp.PlaceBuyLimitOrder("BTC_USD", "0.001", "100")
            await asyncio.gather(*(link.send(order) for link in floor.links))
            answers = await asyncio.gather(*(link.request(cp.UserOrdersRequest(), timeout=60) for link in floor.links))
            figures["while each places an order and asks for its orders"] = await floor.lag()
            for answer in answers:
                assert isinstance(answer, cp.UserOrdersResponse)
                assert len(answer.order_books["BTC_USD"].buy) == 1
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.connections", description=__doc__)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds in which nothing happens (default: 10)")
    parser.add_argument("--serve", metavar="CLIENT.PUB", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments.serve:
        asyncio.run(serve(arguments.connections, arguments.serve))
        return
    begun = time.monotonic()
    figures = asyncio.run(run(arguments.connections, arguments.idle))
    record_run(f"{arguments.connections} connections", seconds=time.monotonic() - begun, counts=figures)
    for phase, each in figures.items():
        sys.stdout.write(f"{phase}: {each}\n")


if __name__ == "__main__":
    main()
