"""How many orders a second the exchange accepts with a journal, against an exchange in memory.

This process sends the orders over a loopback socket to an exchange in another process, and stops the clock when the
last event has arrived. It uses ``Protocol.V5``, because the cost of signatures would hide the rest. The environment
variable ``BENCH_DIR`` names the folder for the journals, and with it the disk.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import cryptoproto as cp
from cryptoproto.messages import encode
from cryptoproto.transport import Closed, OpenOptions, Transport, opener
from cryptoproto.wire import ClientSession, Opened

from ..machinery.effort import Effort
from ..machinery.journals import PROCESS, journal_folder
from ..machinery.measure import Pair
from ..machinery.processes import running
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 7

_WARM_UP = 500


def rows(effort: Effort) -> list[Row]:
    """The rate with and without a journal, in turns, and how it changes with ten times as many orders."""
    count = 10 * effort.scaled(1_000)
    key = cp.PrivateKey.generate()
    pairs: list[Pair] = []
    grown: list[Pair] = []
    with journal_folder() as folder:
        key.public_key.save(folder / "client.pub")
        for number in range(effort.rounds):
            runs = [
                (str(folder / f"orders-{number}.db"), count),
                ("-", count),
                (str(folder / f"few-{number}.db"), count // 10),
            ]
            turns = runs if number % 2 else runs[::-1]
            speeds = {each: _orders_per_s(folder, key, *each) for each in turns}
            many, unwritten, few = (speeds[each] for each in runs)
            pairs.append((many, unwritten))
            grown.append((many, few))
    written, in_memory = zip(*pairs, strict=True)
    title = "orders accepted a second with a journal, against in memory"
    growth = f"the same with {count:,} orders, against {count // 10:,}"
    return [
        Row.from_pairs("journal-orders", title, pairs, unit="orders/s", at_least=0.6),
        Row.from_pairs("journal-orders-growth", growth, grown, unit="orders/s"),
        _time("journal-orders-time", "with a journal; 40 µs are 25,000 a second", written, 40.0),
        _time("journal-orders-in-memory", "in memory; 33.3 µs are 30,000 a second", in_memory, 33.3),
    ]


def _time(name: str, title: str, rates: Iterable[float], below: float) -> Row:
    return Row.absolute(
        name, f"time for an order at an exchange {title}", 1e6 / statistics.median(rates), unit="us", below=below
    )


def _orders_per_s(folder: Path, key: cp.PrivateKey, path: str, count: int) -> float:
    with running(PROCESS, "exchange", str(folder / "client.pub"), path) as exchange:
        return run(_send_orders(exchange, key, count))


async def _send_orders(exchange: dict[str, Any], key: cp.PrivateKey, count: int) -> float:
    """Shake hands and warm up, then send the sealed frames as fast as the socket takes them."""
    sender = _Sender(key, cp.PublicKey.from_pem(exchange["public_key"].encode()))
    transport = await opener("auto")(exchange["url"], sender, OpenOptions())
    await sender.opened.wait()
    await sender.exchange(transport, [sender.frame(number) for number in range(_WARM_UP)])
    frames = [sender.frame(_WARM_UP + number) for number in range(count)]
    start = time.perf_counter()
    await sender.exchange(transport, frames)
    seconds = time.perf_counter() - start
    transport.close(1000, "", 2.0)
    await sender.closed.wait()
    return count / seconds


class _Sender:
    """A client that costs next to nothing, so that the exchange is what is measured.

    Its frames are sealed beforehand. Received frames are only counted: the exchange answers an order that rests in the
    book with two events.
    """

    def __init__(self, key: cp.PrivateKey, server_key: cp.PublicKey) -> None:
        self.opened = asyncio.Event()
        self.closed = asyncio.Event()
        self._session = ClientSession(
            client_id="alice", private_key=key, server_key=server_key, random=os.urandom, protocol=cp.Protocol.V5
        )
        self._awaited = 0
        self._all = asyncio.Event()
        self._transport: Transport | None = None

    def frame(self, number: int) -> bytes:
        return self._session.message_frame(encode(_order(number)))[1]

    async def exchange(self, transport: Transport, frames: list[bytes]) -> None:
        self._awaited = 2 * len(frames)
        self._all.clear()
        for frame in frames:
            transport.send(frame)
            if not transport.writable:
                await transport.drain()
        await self._all.wait()

    def on_open(self, transport: Transport) -> None:
        self._transport = transport
        transport.send(self._session.hello())

    def on_message(self, data: bytes, more: bool = False) -> None:
        if self.opened.is_set():
            self._awaited -= 1
            if not self._awaited:
                self._all.set()
            return
        opened = self._session.receive(data)
        assert isinstance(opened, Opened)
        assert self._transport is not None
        self._transport.send(opened.proof)
        self.opened.set()

    def on_text(self, text: str) -> None:
        raise SystemExit(text)

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        self.closed.set()
        if not self._all.is_set():
            raise SystemExit(f"the exchange ended the connection: {closed}")


def _order(number: int) -> cp.PlaceBuyLimitOrder:
    return cp.PlaceBuyLimitOrder(
        trade_pair="BTC_USD", amount="0.01", price=str(15000 - number % 50), client_order_id=number
    )
