"""Feeds that repeat another feed."""

from __future__ import annotations

from pathlib import Path

import cryptoproto as cp
from cryptoproto.market_data import MarketUpdate
from cryptoproto.recording.mirror import MirrorFeed, Mirrors
from cryptoproto.recording.recorded_clock import RecordedClock
from tests.support.recordings import CONNECTED, START_US, PushFeed, write_recording
from tests.support.scripted_feed import book, disabled, trade


async def test_a_mirror_shows_what_the_feed_shows() -> None:
    clock = RecordedClock(5)
    first = MirrorFeed("there", pairs=None, clock=clock)
    second = MirrorFeed("there", pairs=None, clock=clock)
    async with PushFeed() as feed, first, second:
        feed.attach(Mirrors(feed, clock, first, second))
        feed.connect()
        given: list[MarketUpdate] = [book(5), trade(6), disabled("BTC_USD")]
        feed.push(*given)
        for mirror in (first, second):
            assert [await anext(mirror) for _ in given] == given
            assert mirror.book("BTC_USD").best_bid == feed.book("BTC_USD").best_bid
            assert mirror.last_trade("BTC_USD") == trade(6)
            assert mirror.disabled_pairs == {"BTC_USD"}
            assert mirror.is_connected
        feed.disconnect(cp.ConnectionClosed(1006, "gone"))
        assert first.book("BTC_USD").is_stale
        assert first.state == feed.state
        feed.connect()
        feed.push(book(1))
        assert first.book("BTC_USD").current_order_id == 1
        await second.close()
        feed.push(book(2))
        assert first.book("BTC_USD").current_order_id == 2
    assert first.state.reason == "closed by this end"
    assert second.book("BTC_USD").is_stale


async def test_the_clock_begins_with_the_feed(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.rec", [(250, CONNECTED), (250, book(1))])
    clock = RecordedClock(0)
    mirror = MirrorFeed("there", pairs=None, clock=clock)
    feed = cp.replay(path, speed=0)
    feed.attach(Mirrors(feed, clock, mirror))
    async with feed, mirror:
        assert mirror.time_ns() == 0
        await anext(feed)
        assert mirror.time_ns() >= START_US * 1000 + 250_000_000
        assert mirror.is_connected
        assert mirror.book("BTC_USD").age >= 0
        assert await anext(mirror) == book(1)
    assert mirror.state.state is cp.FeedState.CLOSED
