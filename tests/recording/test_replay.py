"""Recordings as feeds, in virtual time."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.recording.block import StateRecord
from cryptoproto.recording.format import MARKER
from tests.support.recordings import CONNECTED, START_US, Market, PushFeed, Recorded, changed, write_recording
from tests.support.scripted_feed import book, disabled, settle, trade
from tests.support.virtual_time import virtual

START = START_US / 1e6
LOST = StateRecord("state", "waiting", "connection closed (code 1012): back soon", 2, 0.5, 1012, failed=True)
LIVE = StateRecord("state", "live", "connected")
END = StateRecord("end", "live", "connected")


def now() -> float:
    return asyncio.get_running_loop().time()


async def collect(updates: AsyncIterator[Any]) -> list[Any]:
    return [each async for each in updates]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two blocks: updates 100 ms apart."""
    first: list[Recorded] = [(0, CONNECTED), (0, book(1)), (100, trade(2)), (200, book(3, {"99": "5"}))]
    second: list[Recorded] = [(300, disabled("BTC_USD")), (400, book(4, pair="ETH_USD")), (500, END)]
    return write_recording(tmp_path / "a.rec", first, second)


FIVE = (Decimal(99), Decimal(5))
ONE = (Decimal(100), Decimal(1))
EVERYTHING = [book(1), trade(2), book(3, {"99": "5"}), disabled("BTC_USD"), book(4, pair="ETH_USD")]


# As fast as it is read


async def test_every_update_comes_with_its_book(path: Path) -> None:
    async with cp.replay(path, speed=0) as feed:
        seen = []
        async for update in feed:
            seen.append(update)
            if update == book(3, {"99": "5"}):
                assert feed.is_connected
                assert feed.book("BTC_USD").best_bid == FIVE
                assert feed.book("BTC_USD").current_order_id == 3
                assert feed.last_trade("BTC_USD") == trade(2)
                assert feed.time() == START + 0.2
                assert feed.book("ETH_USD").is_stale
            if update == EVERYTHING[-1]:
                assert feed.book("BTC_USD").age == pytest.approx(0.2)
                assert feed.disabled_pairs == {"BTC_USD"}
        assert seen == EVERYTHING
        assert feed.state.state is cp.FeedState.CLOSED
        assert feed.state.reason == "the recording has ended"
        assert feed.book("BTC_USD").is_stale
        assert [update async for update in feed] == []
        with pytest.raises(cp.ConnectionClosed):
            await feed.wait_book("BTC_USD")


async def test_a_slow_reader_misses_nothing(tmp_path: Path) -> None:
    given = Market(3).take(500)
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED), *enumerate(given)])
    async with cp.replay(path, speed=0, max_queue=1) as feed:
        seen = []
        async for update in feed:
            seen.append(update)
            await asyncio.sleep(0)
    assert seen == given
    assert feed.dropped == 0


async def test_waiting_for_a_book_reads_up_to_it(path: Path) -> None:
    async with cp.replay(path, speed=0) as feed:
        await feed.wait_connected()
        assert (await feed.wait_book("ETH_USD")).best_bid == ONE
        assert feed.queued == 4  # the book of BTC_USD as it is by now
        assert await collect(feed) == [book(3, {"99": "5"}), *EVERYTHING[1:2], *EVERYTHING[3:]]


async def test_waiting_for_a_book_that_never_comes_ends_with_the_recording(path: Path) -> None:
    async with cp.replay(path, speed=0) as feed:
        with pytest.raises(cp.ConnectionClosed):
            await feed.wait_book("LTC_USD")


async def test_other_tasks_get_their_turn(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED), *((0, trade(n)) for n in range(1000))])
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    async with cp.replay(path, speed=0) as feed:
        await collect(feed)
    task.cancel()
    assert turns >= 10


# At a speed


@pytest.mark.parametrize("speed", [1, 4, 0.5])
def test_updates_come_at_the_distances_of_the_recording(path: Path, speed: float) -> None:
    @virtual
    async def check() -> None:
        async with cp.replay(path, speed=speed) as feed:
            begin = now()
            seen = []
            async for update in feed:
                seen.append((update, round((now() - begin) * speed, 6)))
                assert feed.time() == pytest.approx(START + (now() - begin) * speed)
            assert seen == list(zip(EVERYTHING, (0.0, 0.1, 0.2, 0.3, 0.4), strict=True))
            assert now() - begin == pytest.approx(0.5 / speed + 0.001)

    check()


def test_a_slow_reader_gets_the_newest_book_as_from_a_live_feed(path: Path) -> None:
    @virtual
    async def check() -> None:
        async with cp.replay(path) as feed:
            await feed.wait_book("BTC_USD", timeout=1)
            await asyncio.sleep(0.35)
            assert [await anext(feed) for _ in range(feed.queued)] == [
                book(3, {"99": "5"}), trade(2), disabled("BTC_USD"),
            ]  # fmt: skip
            assert feed.book("BTC_USD").age == pytest.approx(0.15)
            with pytest.raises(cp.RequestTimeout, match="no book of LTC_USD"):
                await feed.wait_book("LTC_USD", timeout=0.01)

    check()


def test_updates_of_one_moment_leave_others_their_turn(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED), *((0, trade(n)) for n in range(1000))])

    @virtual
    async def check() -> None:
        async with cp.replay(path, max_queue=300) as feed:
            assert len(await collect(feed)) == 1000

    check()


def test_closing_ends_a_replay(path: Path) -> None:
    @virtual
    async def check() -> None:
        feed = cp.replay(path)
        feed.start()
        await settle()
        assert await anext(feed) == book(1)
        await feed.close()
        await feed.close()
        assert feed.state.reason == "closed by this end"
        assert await collect(feed) == []
        with pytest.raises(cp.ConfigurationError, match="another Replay"):
            feed.start()
        unread = cp.replay(path)
        unread.start()
        await unread.close()

    check()


# States


async def states_of(path: Path, **options: Any) -> list[tuple[cp.FeedState, str]]:
    async with cp.replay(path, speed=0, **options) as feed:
        states = feed.states()
        await collect(feed)
        return [(change.state, change.reason) async for change in states]


async def test_a_disconnect_is_played_back(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "a.rec", [(0, CONNECTED), (0, book(9)), (1, LOST), (2, LIVE), (3, book(1)), (4, END)]
    )
    async with cp.replay(path, speed=0) as feed:
        assert await anext(feed) == book(9)
        states = feed.states()
        assert await anext(feed) == book(1)
        assert feed.book("BTC_USD").current_order_id == 1
        assert feed.connections == 2
        changes = [await anext(states) for _ in range(3)]
    assert [change.state for change in changes] == [cp.FeedState.LIVE, cp.FeedState.WAITING, cp.FeedState.LIVE]
    lost = changes[1]
    assert isinstance(lost.error, cp.ConnectionClosed)
    assert (lost.error.code, lost.attempt, lost.delay_s) == (1012, 2, 0.5)


async def test_a_pause_between_two_recorders_is_a_disconnect(tmp_path: Path) -> None:
    first: list[Recorded] = [
        (0, CONNECTED),
        (0, book(9)),
        (1, StateRecord("state", "closed", "closed by this end")),
        (1, END),
    ]
    path = write_recording(tmp_path / "a.rec", first, [(500, CONNECTED), (500, book(1)), (600, END)])
    assert await states_of(path) == [
        (cp.FeedState.CONNECTING, "connecting"),
        (cp.FeedState.LIVE, "connected"),
        (cp.FeedState.WAITING, "the recording was interrupted"),
        (cp.FeedState.LIVE, "connected"),
        (cp.FeedState.CLOSED, "the recording has ended"),
    ]


# Parts of a recording


async def test_only_some_pairs(path: Path) -> None:
    async with cp.replay(path, speed=0, pairs=["ETH_USD"]) as feed:
        assert await collect(feed) == [book(4, pair="ETH_USD")]
        assert set(feed.books) == {"ETH_USD"}
        assert repr(feed) == f"<Replay {path}, closed, ETH_USD stale>"


async def test_pairs_that_were_not_recorded_are_refused(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED)], pairs=["BTC_USD", "ETH_USD"])
    with pytest.raises(cp.ConfigurationError, match="LTC_USD is not in this recording of BTC_USD, ETH_USD"):
        cp.replay(path, pairs=["BTC_USD", "LTC_USD"])


@pytest.mark.parametrize("since", [START + 0.25, datetime.fromtimestamp(START + 0.25, UTC)])
async def test_a_replay_can_start_later_with_the_books_of_that_time(path: Path, since: float | datetime) -> None:
    async with cp.replay(path, speed=0, since=since) as feed:
        assert await anext(feed) == disabled("BTC_USD")
        assert feed.book("BTC_USD").best_bid == FIVE
        assert feed.is_connected
        assert await collect(feed) == [book(4, pair="ETH_USD")]


async def test_a_key_brings_a_book_that_nobody_sees(tmp_path: Path) -> None:
    async with PushFeed() as feed:
        feed.push(book(1))
        async with cp.record(feed, tmp_path / "a.rec", block_updates=1) as recorder:
            for number in range(2, 140):
                feed.push(trade(number))
                if number % 20 == 0:
                    await recorder.flush()
    async with cp.replay(tmp_path / "a.rec", speed=0) as feed:
        assert await collect(feed) == [book(1), *map(trade, range(2, 140))]
    async with cp.replay(tmp_path / "a.rec", speed=0) as feed:
        async for update in feed:
            if update == trade(139):
                since = feed.time()
    async with cp.replay(tmp_path / "a.rec", speed=0, since=since) as feed:
        assert await anext(feed) in [trade(number) for number in range(2, 140)]
        assert feed.book("BTC_USD").best_bid == ONE


# Bad input


def first_block(path: Path) -> int:
    return path.read_bytes().index(MARKER)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def damage_first_block(path: Path) -> None:
    changed(path, first_block(path) + 60)


async def test_damage_ends_a_replay_with_its_place(path: Path) -> None:
    damage_first_block(path)
    async with cp.replay(path, speed=0) as feed:
        with pytest.raises(cp.RecordingError, match=r"block 0 is damaged \(at byte \d+\); skip_damaged=True"):
            await anext(feed)
        with pytest.raises(cp.RecordingError, match="block 0"):
            await feed.wait_book("BTC_USD")
    assert await states_of(path, skip_damaged=True) == [
        (cp.FeedState.CONNECTING, "connecting"),
        (cp.FeedState.WAITING, f"block 0 is damaged (at byte {first_block(path)})"),
        (cp.FeedState.LIVE, "connected"),
        (cp.FeedState.CLOSED, "the recording has ended"),
    ]


def test_damage_ends_a_replay_with_a_speed(path: Path) -> None:
    damage_first_block(path)

    @virtual
    async def check() -> None:
        async with cp.replay(path) as feed:
            with pytest.raises(cp.RecordingError, match="block 0 is damaged"):
                await anext(feed)

    check()


async def test_an_unfinished_block_is_ignored(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cut(path)
    with caplog.at_level(logging.WARNING):
        async with cp.replay(path, speed=0) as feed:
            assert await collect(feed) == EVERYTHING[:3]
    assert "an unfinished block" in caplog.text


async def test_a_book_with_empty_levels_is_played_back(tmp_path: Path) -> None:
    odd = book(2, {"99": "0", "98": "1"})
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED), (0, book(9)), (1, odd)])
    async with cp.replay(path, speed=0) as feed:
        assert [await anext(feed), await anext(feed)] == [book(9), odd]
        assert feed.book("BTC_USD").bids == ((Decimal(98), Decimal(1)),)
    async with cp.replay(path, speed=0, pairs=["ETH_USD"]) as feed:
        assert await collect(feed) == []


async def test_a_crossed_book_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED), (0, book(9, {"105": "1"}))])
    async with cp.replay(path, speed=0) as feed:
        await collect(feed)
        assert feed.crossed_books == 1
    assert "crossed book" in caplog.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"speed": -1}, "speed=-1"),
        ({"speed": math.inf}, "speed=inf"),
        ({"speed": True}, "speed=True"),
        ({"pairs": "BTC_USD"}, r"write \['BTC_USD'\]"),
        ({"since": datetime(2024, 1, 1)}, "no time zone"),
        ({"since": "yesterday"}, "must be a datetime or Unix seconds"),
        ({"since": math.nan}, "must be a datetime or Unix seconds"),
    ],
)
def test_bad_options(path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        cp.replay(path, **options)


def test_a_file_that_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "a.rec").write_text("hello")
    with pytest.raises(cp.ConfigurationError, match="not a recording"):
        cp.replay(tmp_path / "a.rec")
    with pytest.raises(cp.ConfigurationError, match="No such file"):
        cp.replay(tmp_path / "b.rec")


async def test_a_replay_has_to_be_started(path: Path) -> None:
    feed = cp.replay(path, speed=0)
    with pytest.raises(cp.ConfigurationError, match="not been started"):
        await anext(feed)
    with pytest.raises(cp.ConfigurationError, match="not been started"):
        await feed.wait_book("BTC_USD")
    assert feed.time() == START
    await feed.close()
