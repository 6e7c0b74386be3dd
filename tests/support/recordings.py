"""Feeds that a test fills, and recordings of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import TypeAlias

import cryptoproto as cp
from cryptoproto.market_data import FeedState, FeedStateChange, MarketUpdate
from cryptoproto.recording.block import BlockBuilder, StateRecord
from cryptoproto.recording.format import ANCHOR, Header
from cryptoproto.recording.recording_file import RecordingWriter

__all__ = ["CONNECTED", "START_US", "Market", "PushFeed", "write_recording"]

Recorded: TypeAlias = tuple[int, MarketUpdate | StateRecord]
"""An entry with its milliseconds since the start."""

START_US = 1_700_000_000_000_000
CONNECTED = StateRecord("begin", "live", "connected")


class PushFeed(cp.Feed):
    """A feed that gets what a test gives it."""

    def __init__(self, *, pairs: Iterable[str] | None = None, time: Callable[[], float] = monotonic) -> None:
        super().__init__("ws://localhost", pairs=pairs, max_queue=1000, time=time)

    def start(self) -> None:
        self._begin()
        self.connect()

    def connect(self) -> None:
        self._enter(FeedStateChange(FeedState.LIVE, "connected"))

    def disconnect(self, error: Exception) -> None:
        self._forget()
        self._enter(FeedStateChange(FeedState.WAITING, str(error), 1, 0.5, error))

    def push(self, *updates: MarketUpdate) -> None:
        for update in updates:
            self._on_update(update)

    async def close(self) -> None:
        self._end(None)


class Market:
    """An endless stream of books and trades that a seed decides."""

    def __init__(self, seed: int, *, pair: str = "BTC_USD", levels: int = 8, decimals: int = 8) -> None:
        self._random = random.Random(seed)
        self._pair = pair
        self._levels = levels
        self._quantum = Decimal(1).scaleb(-decimals)
        self._sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})
        self._mid = 10_000
        self._order_id = 0

    def __iter__(self) -> Iterator[cp.OrderBookAgg | cp.AnonymousTrade]:
        draw = self._random
        while True:
            self._order_id += draw.randrange(1, 4)
            self._mid += draw.randrange(-2, 3)
            self._uncross()
            if draw.random() < 0.2:
                yield cp.AnonymousTrade(
                    self._pair, self._order_id, self._volume(), self._price(self._mid), draw.random() < 0.5,
                    (1_700_000_000 + self._order_id, draw.randrange(1000)),
                )  # fmt: skip
                continue
            for _ in range(draw.randrange(1, 4)):
                self._change(draw.randrange(2))
            buys, sells = self._sides
            yield cp.OrderBookAgg(
                self._pair, self._order_id,
                dict(sorted(buys.items(), reverse=True)), dict(sorted(sells.items())),
            )  # fmt: skip

    def take(self, count: int) -> list[MarketUpdate]:
        return [update for update, _ in zip(self, range(count), strict=False)]

    def _uncross(self) -> None:
        middle = self._price(self._mid)
        for side, levels in enumerate(self._sides):
            for price in [price for price in levels if (price <= middle if side else price >= middle)]:
                del levels[price]

    def _change(self, side: int) -> None:
        levels = self._sides[side]
        if levels and (len(levels) > self._levels or self._random.random() < 0.3):
            del levels[self._random.choice(list(levels))]
        else:
            offset = self._random.randrange(1, 12)
            levels[self._price(self._mid + (offset if side else -offset))] = self._volume()

    def _price(self, ticks: int) -> Decimal:
        return (Decimal(ticks) / 10).quantize(self._quantum)

    def _volume(self) -> Decimal:
        return (Decimal(self._random.randrange(1, 5000)) / 1000).quantize(self._quantum)


def changed(path: Path, at: int) -> None:
    """Damage one byte of a file."""
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x20
    path.write_bytes(raw)


def write_recording(
    path: Path,
    *blocks: Iterable[Recorded],
    pairs: list[str] | None = None,
    anchors: bool = True,
) -> Path:
    """Append *blocks* to a recording."""
    writer = RecordingWriter(path, Header("ws://localhost", pairs, START_US))
    for entries in blocks:
        builder = BlockBuilder()
        for after_ms, entry in entries:
            at_us = START_US + after_ms * 1000
            if isinstance(entry, StateRecord):
                builder.add_state(at_us, entry)
            elif isinstance(entry, cp.OrderBookAgg):
                book = cp.OrderBook(entry.trade_pair)
                book.apply(entry)
                builder.add_book(at_us, entry, book.bids, book.asks)
            else:
                builder.add(at_us, entry)
        writer.append(
            builder.finish(), entries=builder.count, first_us=builder.first_us, last_us=builder.last_us,
            flags=ANCHOR if anchors else 0,
        )  # fmt: skip
    writer.close()
    return path
