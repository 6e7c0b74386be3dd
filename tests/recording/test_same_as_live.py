"""A bot cannot tell a replay from the feed that was recorded: what it sees, and when, is the same."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.recordings import START_US, Market
from tests.support.scripted_feed import FeedServer, disabled, enabled, settle
from tests.support.virtual_time import virtual

FIRST_PAIR, SECOND_PAIR = "BTC_USD", "ETH_USD"


def now() -> float:
    return asyncio.get_running_loop().time()


class Diary:
    """A bot that reads at its own pace, and writes down everything that a feed lets it see."""

    def __init__(self, seed: int) -> None:
        self.lines: list[Any] = []
        self._draw = random.Random(seed)

    async def keep(self, feed: cp.Feed) -> None:
        """Write until the feed has ended. Times count from the first connection on."""
        following = asyncio.ensure_future(self._follow(feed))
        await feed.wait_connected(timeout=100)
        begin = now()
        async for update in feed:
            self.lines.append((round(now() - begin, 6), update, *map(self._book(feed), (FIRST_PAIR, SECOND_PAIR))))
            if self._draw.random() < 0.2:
                await asyncio.sleep(round(self._draw.random(), 6))
        await following

    async def _follow(self, feed: cp.Feed) -> None:
        async for change in feed.states():
            # Attempts before the recording are not in it, and the end of a recording is another end than close().
            if change.state in (cp.FeedState.LIVE, cp.FeedState.WAITING):
                self.lines.append((change.state, change.attempt, round(change.delay_s, 6)))

    @staticmethod
    def _book(feed: cp.Feed) -> Any:
        def seen(pair: str) -> tuple[Any, ...]:
            book = feed.book(pair)
            age = None if book.is_stale else round(book.age, 6)
            trade = feed.last_trade(pair)
            return book.bids, book.asks, book.current_order_id, age, trade, pair in feed.disabled_pairs

        return seen


async def live(seed: int, path: Path) -> Diary:
    """Follow a server that is busy, disconnects now and then, and is recorded meanwhile."""
    draw = random.Random(seed)
    diary = Diary(seed)
    server = FeedServer()
    streams = [iter(Market(seed)), iter(Market(seed + 1, pair=SECOND_PAIR))]
    loop = asyncio.get_running_loop()
    recorder_options: dict[str, Any] = {
        "clock": lambda: START_US * 1000 + round(loop.time() * 1e9), "block_interval": 10_000, "block_updates": 50,
    }  # fmt: skip
    async with server.feed() as feed, cp.record(feed, path, **recorder_options) as recorder:
        keeping = asyncio.ensure_future(diary.keep(feed))
        await feed.wait_connected(timeout=1)
        for _ in range(300):
            await asyncio.sleep(round(draw.random() * 0.1, 6))
            if draw.random() < 0.02:
                server.peer.close(1012, "back soon")
                await asyncio.sleep(0.01)
                await feed.wait_connected(timeout=100)
            elif draw.random() < 0.05:
                server.peer.say(draw.choice([enabled, disabled])(FIRST_PAIR))
            else:
                server.peer.say(next(draw.choice(streams)))
            await settle()
        await asyncio.sleep(20)  # until the bot has read everything
        await recorder.close()
        await feed.close()
        await keeping
    return diary


@pytest.mark.parametrize("seed", range(5))
def test_a_bot_cannot_tell_a_replay_from_the_feed(seed: int, tmp_path: Path) -> None:
    diaries: list[Diary] = []

    @virtual
    async def run_live() -> None:
        diaries.append(await live(seed, tmp_path / "a.rec"))

    @virtual
    async def run_replay() -> None:
        diary = Diary(seed)
        async with cp.replay(tmp_path / "a.rec") as feed:
            await diary.keep(feed)
        diaries.append(diary)

    run_live()
    run_replay()
    expected, found = (diary.lines for diary in diaries)
    assert len(expected) > 100
    assert found == expected
