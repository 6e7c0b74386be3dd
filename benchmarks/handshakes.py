"""What a flood of handshakes costs a connected trader: ``python -m benchmarks.handshakes [--rate N] [--seconds S]``.

An exchange in its own process, a trader here, and a third process that sends hellos with the exchange's public key. It
prints the median round trip of a balance request when it is quiet and under the flood. Run it by hand on a quiet
machine: it needs three cores for a fair number.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.transport import Closed, OpenOptions, Transport, opener
from cryptoproto.wire import ClientHello
from cryptoproto.wire.handshake import client_hello

_REQUESTS = 500


class _Ignore:
    """A listener that waits for nothing."""

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


async def _serve(public_key: str, handshake_rate: float | None) -> None:
    async with Exchange(handshake_rate=handshake_rate) as exchange:
        exchange.register("alice", cp.PublicKey.load(public_key), {"USD": 1000})
        exchange.public_key.save(f"{public_key}.exchange", overwrite=True)
        print(exchange.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def _flood(url: str, server_key: str, rate: float) -> None:
    hello = client_hello(ClientHello("nobody", 0, bytes(32)), cp.PublicKey.load(server_key))
    open_link = opener("websockets")
    start = time.monotonic()
    sent = 0
    while True:
        link = await open_link(url, _Ignore(), OpenOptions())
        link.send(hello)
        sent += 1
        await asyncio.sleep(max(0.0, start + sent / rate - time.monotonic()))


async def _median_ms(connection: cp.Connection, seconds: float) -> float:
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < _REQUESTS:
        start = time.perf_counter()
        await connection.request(cp.UserBalanceRequest())
        times.append(time.perf_counter() - start)
        await asyncio.sleep(0.002)
    return statistics.median(times) * 1000


def _child(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.handshakes", *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def _measure(folder: str, rate: float, seconds: float) -> None:
    key = cp.PrivateKey.generate()
    public = os.path.join(folder, "alice.pub")
    key.public_key.save(public)
    for limit in ("50", "none"):
        exchange = _child("--part", "serve", public, limit)
        assert exchange.stdout is not None
        url = (await asyncio.to_thread(exchange.stdout.readline)).decode().strip()
        server_key = cp.PublicKey.load(f"{public}.exchange")
        async with cp.connect(url, client_id="alice", private_key=key, server_key=server_key) as connection:
            quiet = await _median_ms(connection, seconds)
            flood = _child("--part", "flood", url, f"{public}.exchange", str(rate))
            try:
                flooded = await _median_ms(connection, seconds)
            finally:
                flood.kill()
                flood.communicate()
        exchange.communicate()
        print(
            f"handshake_rate={limit}: quiet {quiet:.2f} ms, {rate:g} hellos/s {flooded:.2f} ms, {flooded / quiet:.1f} x"
        )


def main() -> None:
    """Measure and print."""
    import tempfile

    parser = argparse.ArgumentParser(prog="python -m benchmarks.handshakes", description=__doc__)
    parser.add_argument("--rate", type=float, default=572.0, help="hellos a second")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--part", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.part:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_measure(folder, options.rate, options.seconds))
    elif options.part[0] == "serve":
        limit = options.part[2]
        asyncio.run(_serve(options.part[1], None if limit == "none" else float(limit)))
    else:
        asyncio.run(_flood(options.part[1], options.part[2], float(options.part[3])))


if __name__ == "__main__":
    main()
