"""What recording costs the reader of a feed, how many bytes an update takes, and how fast it is played back."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

import cryptoproto as cp
from cryptoproto.messages import OrderBookAgg, encode
from cryptoproto.recording.backtest import backtest

from ..machinery import busy_market
from ..machinery.effort import Effort
from ..machinery.frame_feed import FrameFeed
from ..machinery.measure import in_turns
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5

_UPDATES: Final = 20_000
_BACKTEST_UPDATES: Final = 12_000
_BLOCK: Final = 500  # updates: five seconds at 100 a second
_RATE: Final = 100.0


def rows(effort: Effort) -> list[Row]:
    """The four targets of recordings, on a book of about 17 levels on each side that changes 100 times a second."""
    count = effort.scaled(_UPDATES)
    updates = [update for _, update in itertools.islice(busy_market.updates(rate=_RATE), count)]
    raws = [encode(update) for update in updates]
    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()
        path = Path(folder) / "market.rec"
        busy_market.write(path, count, rate=_RATE)
        costs = in_turns(
            lambda: asyncio.run(_read(raws, Path(folder) / f"{next(numbers)}.rec")),
            lambda: asyncio.run(_read(raws, None)),
            effort.rounds,
        )
        played = [asyncio.run(_replayed(path)) for _ in range(effort.rounds)]
        long_path = Path(folder) / "long.rec"
        busy_market.write(long_path, effort.scaled(_BACKTEST_UPDATES), rate=_RATE)
        backtests = [_tried(long_path) for _ in range(effort.rounds)]
        size = path.stat().st_size
    return [
        Row.from_pairs("recording", "read a feed and record it, against reading it", costs, unit="µs", at_most=1.3),
        Row.absolute("recording-bytes", "bytes of an update on disk, a busy book", size / count, unit="B", below=12.0),
        Row.absolute(
            "recording-replay", "CPU time of an update, played back at speed 0", median(played), unit="µs", below=5.0
        ),
        Row.absolute(
            "recording-backtest",
            "CPU time of a second of market with a quoting bot",
            median(backtests),
            unit="ms",
            below=20.0,
        ),
    ]


async def _read(raws: list[bytes], path: Path | None) -> float:
    """The microseconds of CPU time, of all threads, for each update that a reader gets."""
    async with FrameFeed() as feed:
        recorder = None
        if path is not None:
            recorder = cp.record(feed, path, block_updates=_BLOCK)
            recorder.start()
        before = time.process_time()
        for number, raw in enumerate(raws, 1):
            feed.receive(raw)
            await anext(feed)
            if recorder is not None and number % (10 * _BLOCK) == 0:
                await recorder.flush()
        if recorder is not None:
            await recorder.close()
        return (time.process_time() - before) / len(raws) * 1e6


async def _replayed(path: Path) -> float:
    """The microseconds of CPU time of an update: below 5, there are more than 200,000 in a second."""
    count = 0
    before = time.thread_time()
    async with cp.replay(path, speed=0) as feed:
        async for _ in feed:
            count += 1
    return (time.thread_time() - before) / count * 1e6


def _tried(path: Path) -> float:
    """The milliseconds of CPU time of a second of market: below 20, it is 50 times as fast as it was."""
    before = time.process_time()
    result = backtest(path, quote, balances={"USD": "1000000", "BTC": "100"})
    return (time.process_time() - before) * 1000 / (result.end - result.start).total_seconds()


async def quote(client: cp.Client, feed: cp.Feed) -> None:
    """Stay a dollar away from the best prices, and follow them when they have moved by more than a dollar."""
    quotes: dict[str, cp.Order] = {}
    async for update in feed:
        book = feed.book(busy_market.PAIR)
        if not isinstance(update, OrderBookAgg) or book.best_bid is None or book.best_ask is None:
            continue
        for side, price in (("buy", book.best_bid[0] - 1), ("sell", book.best_ask[0] + 1)):
            order = quotes.get(side)
            if order is not None and not order.is_closed:
                if abs(order.price - price) <= 1:
                    continue
                await client.cancel(order)
            quotes[side] = await client.place(busy_market.PAIR, side, amount="0.1", price=price)
