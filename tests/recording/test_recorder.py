"""The recorder, in virtual time."""

from __future__ import annotations

import asyncio
import os
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.market_data import MarketUpdate
from cryptoproto.recording import recorder as recorder_module
from cryptoproto.recording.block import Snapshot, StateRecord
from cryptoproto.recording.recording_file import BlockRead, RecordingReader, RecordingWriter
from tests.support.recordings import START_US, Market, PushFeed
from tests.support.scripted_feed import book, disabled, trade
from tests.support.virtual_time import virtual


class Clock:
    """Unix time that a test moves."""

    def __init__(self) -> None:
        self.us = START_US

    def __call__(self) -> int:
        return self.us * 1000


def entries(path: Path) -> list[tuple[int, Any]]:
    with RecordingReader(path) as reader:
        return [
            (at_us - START_US, entry)
            for each in reader.blocks()
            if isinstance(each, BlockRead)
            for at_us, entry in reader.entries(each)
        ]


def updates(path: Path) -> list[object]:
    return [
        entry.message if isinstance(entry, Snapshot) else entry
        for _, entry in entries(path)
        if not isinstance(entry, StateRecord) and not (isinstance(entry, Snapshot) and entry.is_key)
    ]


def states(path: Path) -> list[tuple[str, str]]:
    return [(entry.kind, entry.state) for _, entry in entries(path) if isinstance(entry, StateRecord)]


async def test_updates_are_kept_with_the_time_of_receipt(tmp_path: Path) -> None:
    clock = Clock()
    given = Market(1).take(50)
    async with PushFeed() as feed, cp.record(feed, tmp_path / "a.rec", clock=clock) as recorder:
        for update in given:
            clock.us += 1000
            feed.push(update)
        assert recorder.updates == 50
        assert "50 updates" in repr(recorder)
    assert updates(tmp_path / "a.rec") == given
    assert [at for at, _ in entries(tmp_path / "a.rec")] == [0, *range(1000, 50_001, 1000), 50_000]
    assert states(tmp_path / "a.rec") == [("begin", "live"), ("end", "live")]


async def test_time_does_not_go_back(tmp_path: Path) -> None:
    clock = Clock()
    async with PushFeed() as feed, cp.record(feed, tmp_path / "a.rec", clock=clock):
        feed.push(trade(1))
        clock.us -= 5_000_000
        feed.push(trade(2))
    assert [at for at, _ in entries(tmp_path / "a.rec")] == [0, 0, 0, 0]


async def test_books_that_the_feed_has_are_recorded_first(tmp_path: Path) -> None:
    async with PushFeed() as feed:
        feed.push(book(5), trade(5))
        feed.book("ETH_USD")  # stale
        async with cp.record(feed, tmp_path / "a.rec"):
            feed.push(book(6))
    assert updates(tmp_path / "a.rec") == [book(5), book(6)]


RULES = cp.TradingRules([cp.Instrument("BTC_USD", tick_size="0.5").to_rules()])


async def test_the_rules_that_the_feed_knows_are_recorded_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "_ANCHOR_EVERY", 2)
    async with PushFeed() as feed:
        feed.push(RULES, book(5))
        async with cp.record(feed, tmp_path / "a.rec", block_updates=2) as recorder:
            for order_id in range(6, 12):
                feed.push(trade(order_id))
                await recorder.flush()
    assert updates(tmp_path / "a.rec") == [RULES, book(5), *map(trade, range(6, 12))]
    async with cp.replay(tmp_path / "a.rec", speed=0, since=recorder._last_us / 1e6) as replay:
        async for _ in replay:
            pass
        assert replay.instruments == feed.instruments
        assert replay.instruments["BTC_USD"].tick_size == Decimal("0.5")


async def test_a_disconnect_is_recorded(tmp_path: Path) -> None:
    async with PushFeed() as feed, cp.record(feed, tmp_path / "a.rec") as recorder:
        feed.push(book(5))
        feed.disconnect(cp.ServerRestart(1012, "back soon"))
        feed.connect()
        feed.push(book(1))
        assert recorder.gaps == 1
    assert updates(tmp_path / "a.rec") == [book(5), book(1)]
    records = [entry for _, entry in entries(tmp_path / "a.rec") if isinstance(entry, StateRecord)]
    assert [each.state for each in records] == ["live", "waiting", "live", "live"]
    lost = records[1]
    assert (lost.code, lost.attempt, lost.delay_s, lost.failed) == (1012, 1, 0.5, True)
    assert "back soon" in lost.reason


async def test_only_some_pairs(tmp_path: Path) -> None:
    given: list[MarketUpdate] = [
        book(1),
        book(2, pair="ETH_USD"),
        trade(3, pair="ETH_USD"),
        trade(4),
        disabled("ETH_USD"),
    ]
    async with PushFeed() as feed:
        feed.push(book(0, pair="ETH_USD"))
        async with cp.record(feed, tmp_path / "a.rec", pairs=["BTC_USD"]) as recorder:
            feed.push(*given)
            assert recorder.updates == 3
    assert updates(tmp_path / "a.rec") == [given[0], given[3], given[4]]
    with RecordingReader(tmp_path / "a.rec") as reader:
        assert reader.header.pairs == ["BTC_USD"]


async def test_the_pairs_of_the_feed_are_the_default(tmp_path: Path) -> None:
    async with PushFeed(pairs=["ETH_USD", "BTC_USD"]) as feed, cp.record(feed, tmp_path / "a.rec"):
        pass
    with RecordingReader(tmp_path / "a.rec") as reader:
        assert reader.header.pairs == ["BTC_USD", "ETH_USD"]


def test_a_block_is_written_after_the_interval(tmp_path: Path) -> None:
    @virtual
    async def check() -> None:
        async with PushFeed() as feed, cp.record(feed, tmp_path / "a.rec", block_interval=60) as recorder:
            empty = recorder.size
            feed.push(trade(1))
            await asyncio.sleep(59.9)
            assert recorder._blocks == 0
            await asyncio.sleep(0.2)
            assert recorder._blocks == 1
            await recorder.flush()
            assert recorder._blocks == 1
            assert recorder.size > empty
            assert updates(tmp_path / "a.rec") == [trade(1)], "before the recorder is closed"

    check()


async def test_a_full_block_is_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_ANCHOR_EVERY", 4)
    given = Market(1).take(1000)
    async with (
        PushFeed() as feed,
        cp.record(feed, tmp_path / "a.rec", block_updates=100, block_interval=1000) as recorder,
    ):
        for update in given:
            feed.push(update)
            if recorder.updates % 150 == 0:
                await recorder.flush()
    with RecordingReader(tmp_path / "a.rec") as reader:
        heads = [each.head for each in reader.blocks() if isinstance(each, BlockRead)]
    assert len(heads) >= 10
    assert [head.is_anchor for head in heads] == [number % 4 == 0 for number in range(len(heads))]
    assert updates(tmp_path / "a.rec") == given
    assert ("anchor", "live") in states(tmp_path / "a.rec")


async def test_a_recorder_continues_a_file(tmp_path: Path) -> None:
    for order_id in (1, 2):
        async with PushFeed() as feed, cp.record(feed, tmp_path / "a.rec"):
            feed.push(book(order_id))
    assert updates(tmp_path / "a.rec") == [book(1), book(2)]
    assert states(tmp_path / "a.rec") == [("begin", "live"), ("end", "live")] * 2


async def test_a_disk_that_fails_ends_the_recorder_but_not_the_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    async with PushFeed() as feed:
        recorder = cp.record(feed, tmp_path / "a.rec", block_updates=2)
        recorder.start()
        monkeypatch.setattr("os.fsync", fail)
        feed.push(trade(1), trade(2))
        with pytest.raises(cp.RecordingError, match="No space left"):
            await recorder.wait_closed()
        feed.push(trade(3))
        assert recorder.updates == 2
        assert feed.queued == 3
        for ending in (recorder.flush, recorder.close):
            with pytest.raises(cp.RecordingError, match="No space left"):
                await ending()


async def test_a_disk_that_is_too_slow_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    append = RecordingWriter.append

    def slow(*args: Any, **kwargs: Any) -> None:
        go.wait(10)
        append(*args, **kwargs)

    monkeypatch.setattr(RecordingWriter, "append", slow)
    async with PushFeed() as feed:
        recorder = cp.record(feed, tmp_path / "a.rec", block_updates=1)
        recorder.start()
        feed.push(*map(trade, range(40)))
        with pytest.raises(cp.RecordingError, match="the disk is too slow: 32 blocks wait"):
            await recorder.wait_closed()
        go.set()
        with pytest.raises(cp.RecordingError, match="too slow"):
            await recorder.close()
    assert updates(tmp_path / "a.rec") == [trade(number) for number in range(32)]


async def test_the_life_of_a_recorder(tmp_path: Path) -> None:
    async with PushFeed() as feed:
        recorder = cp.record(feed, tmp_path / "a.rec")
        with pytest.raises(cp.ConfigurationError, match="not been started"):
            await recorder.wait_closed()
        recorder.start()
        with pytest.raises(cp.ConfigurationError, match="only once"):
            recorder.start()
        await recorder.close()
        await recorder.close()
        unused = cp.record(feed, tmp_path / "b.rec")
        assert unused.size == 0
        await unused.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"block_interval": 0}, "block_interval=0"),
        ({"block_updates": 0}, "block_updates=0"),
        ({"clock": 5}, "clock=5"),
        ({"pairs": "BTC_USD"}, r"write \['BTC_USD'\]"),
    ],
)
async def test_bad_options(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        cp.record(PushFeed(), tmp_path / "a.rec", **options)
    assert not os.listdir(tmp_path)
