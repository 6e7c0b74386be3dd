"""Candles: exact, complete, and honest about gaps."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.recording.block import StateRecord
from cryptoproto.recording.candles import CandleBuilder
from cryptoproto.recording.format import MARKER
from tests.support.recordings import CONNECTED, START_US, PushFeed, changed, write_recording
from tests.support.scripted_feed import book, disabled

MIDNIGHT = 1_699_920_000  # 2023-11-14 in UTC


def traded(second: float, price: str, amount: str = "1", *, maker_buy: bool = True, pair: str = "BTC_USD") -> Any:
    milliseconds = round((MIDNIGHT + second) * 1000)
    return cp.AnonymousTrade(pair, 1, Decimal(amount), Decimal(price), maker_buy, divmod(milliseconds, 1000))


def start(candle: cp.Candle) -> int:
    return round(candle.start.timestamp()) - MIDNIGHT


def prices(candle: cp.Candle) -> tuple[int, ...]:
    return tuple(map(int, (candle.open, candle.high, candle.low, candle.close)))


def test_a_candle_holds_the_trades_of_its_interval() -> None:
    trades = [
        traded(1, "100", "0.1"), traded(20, "90", "0.2", maker_buy=False), traded(59.999, "95", "0.3"),
        traded(60, "97"),
    ]  # fmt: skip
    first, second = cp.candles(trades, "1m")
    assert (start(first), start(second)) == (0, 60)
    assert first.end == second.start == first.start + timedelta(minutes=1)
    assert first.start.tzinfo is UTC
    assert prices(first) == (100, 100, 90, 95)
    assert (first.volume, first.buy_volume, first.trades) == (Decimal("0.6"), Decimal("0.2"), 3)
    assert first.turnover == Decimal("56.5")
    assert first.average_price is not None
    assert round(first.average_price, 8) == Decimal("94.16666667")
    assert not first.has_gap
    assert prices(second) == (97, 97, 97, 97)


def test_an_interval_without_trades_has_the_last_price() -> None:
    trades = [traded(0, "100"), traded(180, "90")]
    first, second, third, last = cp.candles(trades, "1m")
    assert [start(each) for each in (first, second, third, last)] == [0, 60, 120, 180]
    assert prices(second) == prices(third) == (100, 100, 100, 100)
    assert not second.volume
    assert not second.trades
    assert second.average_price is None
    assert prices(last) == (90, 90, 90, 90)
    assert [start(each) for each in cp.candles(trades, "1m", fill=False)] == [0, 180]


def test_pairs_have_candles_of_their_own() -> None:
    trades = [traded(0, "100"), traded(5, "7", pair="ETH_USD"), traded(70, "101")]
    found = list(cp.candles(trades, "1m"))
    assert [(each.trade_pair, start(each)) for each in found] == [("BTC_USD", 0), ("BTC_USD", 60), ("ETH_USD", 0)]
    assert [each.trade_pair for each in cp.candles(trades, "1m", trade_pair="ETH_USD")] == ["ETH_USD"]


def test_intervals_begin_at_multiples_of_their_length() -> None:
    (hour,) = cp.candles([traded(5000, "1")], "1h")
    assert start(hour) == 3600
    (day,) = cp.candles([traded(5000, "1")], "1d")
    assert day.start == datetime(2023, 11, 14, tzinfo=UTC)


def test_a_late_trade_counts_in_the_next_candle() -> None:
    first, second = cp.candles([traded(10, "1"), traded(61, "2"), traded(59, "3")], "1m")
    assert (first.trades, second.trades) == (1, 2)


trades_of_a_day = st.lists(
    st.tuples(st.integers(0, 86_399), st.integers(1, 10**12), st.integers(1, 10**12)), min_size=1, max_size=40
)


@given(trades_of_a_day, st.sampled_from(["7s", "1m", "45m", "1d"]))
def test_candles_neither_lose_nor_invent_anything(day: list[tuple[int, int, int]], interval: str) -> None:
    trades = [
        traded(second, str(Decimal(price).scaleb(-8)), str(Decimal(amount).scaleb(-8)))
        for second, price, amount in sorted(day)
    ]
    found = list(cp.candles(trades, interval, fill=False))
    assert sum(each.trades for each in found) == len(trades)
    assert sum(each.volume for each in found) == sum(each.amount for each in trades)
    assert sum(each.turnover for each in found) == sum(each.amount * each.price for each in trades)
    for candle in found:
        inside = [each.price for each in trades if candle.start <= each.at < candle.end]
        assert [candle.open, candle.high, candle.low, candle.close] == [
            inside[0], max(inside), min(inside), inside[-1],
        ]  # fmt: skip


# Of recordings


def test_a_recording_with_an_interruption(tmp_path: Path) -> None:
    offset = START_US // 1_000_000 - MIDNIGHT
    lost = StateRecord("state", "waiting", "lost", 1, failed=True)
    live = StateRecord("state", "live", "connected")
    path = write_recording(
        tmp_path / "a.rec",
        [(0, CONNECTED), (0, book(1)), (1000, traded(offset + 1, "100")), (2000, disabled("BTC_USD"))],
        [(62_000, lost), (130_000, live), (131_000, traded(offset + 131, "90")), (200_000, traded(offset + 200, "91"))],
    )
    found = list(cp.candles(path, "1m"))
    assert [each.has_gap for each in found] == [True, True, True, False]
    assert [each.trades for each in found] == [1, 0, 1, 1]
    assert list(cp.candles(str(path), "1m", trade_pair="ETH_USD")) == []


def test_candles_before_an_interruption_have_no_gap(tmp_path: Path) -> None:
    offset = START_US // 1_000_000 - MIDNIGHT
    path = write_recording(
        tmp_path / "a.rec",
        [(0, CONNECTED), (1000, traded(offset + 1, "100")), (130_000, disabled("BTC_USD"))],
        [(190_000, CONNECTED), (250_000, traded(offset + 250, "90"))],
    )
    assert [(each.has_gap, each.trades) for each in cp.candles(path, "1m")] == [
        (False, 1), (False, 0), (True, 0), (True, 0), (False, 1),
    ]  # fmt: skip


def test_a_damaged_recording(tmp_path: Path) -> None:
    offset = START_US // 1_000_000 - MIDNIGHT
    blocks = [[(1000 * second, traded(offset + second, "100"))] for second in (1, 70, 190)]
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED)], *blocks)
    _, _, third, _ = (found.start() for found in re.finditer(MARKER, path.read_bytes()))
    changed(path, third + 60)
    with pytest.raises(cp.RecordingError, match=r"block 2 is damaged .*; skip_damaged=True leaves it out"):
        list(cp.candles(path, "1m"))
    assert [(each.has_gap, each.trades) for each in cp.candles(path, "1m", skip_damaged=True)] == [
        (True, 1), (True, 0), (True, 0), (True, 1),
    ]  # fmt: skip


# Live


class Timed(PushFeed):
    ms = MIDNIGHT * 1000

    def time_ns(self) -> int:
        return self.ms * 1_000_000


async def test_candles_of_a_live_feed_come_when_they_are_complete() -> None:
    async with Timed() as feed:
        found: list[cp.Candle] = []

        async def collect() -> None:
            async for candle in cp.candles(feed, "1m"):
                found.append(candle)  # noqa: PERF401 - the test looks at it meanwhile

        async def push(second: float, update: Any) -> None:
            feed.ms = round((MIDNIGHT + second) * 1000)
            feed.push(update)
            for _ in range(10):
                await asyncio.sleep(0)

        collecting = asyncio.ensure_future(collect())
        await asyncio.sleep(0)
        await push(1, traded(1, "100"))
        await push(60.5, book(1))
        assert found == [], "a trade of the first minute may be under way"
        await push(61.2, book(2))
        assert [each.trades for each in found] == [1]
        feed.disconnect(OSError("gone"))
        feed.connect()
        await push(121.5, traded(121.4, "90", pair="ETH_USD"))
        assert found[1].has_gap
        await feed.close()
        await collecting
        assert [(each.trade_pair, each.trades, each.has_gap) for each in found[2:]] == [
            ("BTC_USD", 0, False), ("ETH_USD", 1, False),
        ]  # fmt: skip
        assert feed._observers == ()


async def test_any_asynchronous_iterable_will_do() -> None:
    async def updates() -> Any:
        for update in (traded(1, "100"), book(1), traded(70, "90"), traded(80, "7", pair="ETH_USD")):
            yield update

    found = [each async for each in cp.candles(updates(), "1m", trade_pair="BTC_USD")]
    assert [start(each) for each in found] == [0, 60]


# Bad input


@pytest.mark.parametrize("interval", ["", "1x", "0m", 60])
def test_what_is_no_interval(interval: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="interval="):
        cp.candles([], interval)
    with pytest.raises(cp.ConfigurationError, match="interval="):
        CandleBuilder(interval)


def test_what_has_no_trades() -> None:
    with pytest.raises(cp.ConfigurationError, match="trades=5 must be a recording"):
        cp.candles(5)  # type: ignore[call-overload]
    with pytest.raises(cp.ConfigurationError, match="No such file"):
        list(cp.candles("none.rec"))
