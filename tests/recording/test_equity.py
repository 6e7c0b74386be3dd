"""What an account is worth over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.market_data import FeedState, FeedStateChange
from cryptoproto.recording import equity as equity_module
from cryptoproto.recording.equity import EquityCurve
from tests.support.recordings import START_US, PushFeed
from tests.support.scripted_feed import book, trade

START = datetime.fromtimestamp(START_US / 1e6, UTC)


class Timed(PushFeed):
    """A feed whose time a test decides."""

    def __init__(self) -> None:
        super().__init__()
        self.us = START_US

    def time_ns(self) -> int:
        return self.us * 1000


class Account:
    def __init__(self, **totals: int) -> None:
        self.totals = {currency: Decimal(total) for currency, total in totals.items()}

    def __call__(self) -> dict[str, Decimal]:
        return dict(self.totals)


def curve(feed: Timed, account: Account, quote: str = "USD") -> EquityCurve:
    made = EquityCurve(feed, quote, account)
    feed.attach(made)
    feed.start()
    return made


def at(bid: int, ask: int, pair: str = "BTC_USD") -> cp.OrderBookAgg:
    return book(1, {str(bid): "1"}, {str(ask): "1"}, pair=pair)


def values(made: EquityCurve) -> list[tuple[float, int | None, int]]:
    return [
        ((point.at - START).total_seconds(), None if point.equity is None else int(point.equity), int(point.drawdown))
        for point in made.finish()
    ]


def test_equity_is_the_money_and_what_the_rest_would_bring_in_the_middle_of_the_book() -> None:
    feed, account = Timed(), Account(USD=1000, BTC=2)
    made = curve(feed, account)
    for seconds, bid in ((0, 99), (1, 109), (1.5, 500), (2, 79)):
        feed.us = START_US + round(seconds * 1e6)
        feed.push(at(bid, bid + 2))
    account.totals["BTC"] = Decimal(3)
    assert values(made) == [(0, 1220, 0), (1, 1220, 0), (2, 1160, 60), (2, 1240, 0)]
    assert made.max_drawdown == 60
    assert made.updates == 4
    assert (made.start, made.end) == (START, START + timedelta(seconds=2))


def test_the_first_point_is_the_account_before_the_first_trade() -> None:
    feed, account = Timed(), Account(USD=1000)
    made = curve(feed, account)
    feed.push(at(99, 101))
    account.totals = {"USD": Decimal(900), "BTC": Decimal(2)}
    feed.us += 500_000
    feed.push(trade(2))
    assert values(made) == [(0, 1000, 0), (0.5, 1100, 0)]


def test_a_currency_counts_by_a_pair_in_either_direction() -> None:
    feed = Timed()
    made = curve(feed, Account(EUR=100, BTC=1, LTC=5, ETH=0), quote="EUR")
    feed.push(at(99, 101, "BTC_EUR"))
    assert values(made)[-1][1] == 200
    assert made.unvalued == {"LTC"}
    feed = Timed()
    made = curve(feed, Account(EUR=100), quote="BTC")
    feed.push(at(99, 101, "BTC_EUR"))
    assert values(made)[-1][1] == 1


def test_a_lost_market_keeps_its_last_prices() -> None:
    feed = Timed()
    made = curve(feed, Account(BTC=1))
    feed.push(at(99, 101))
    made.on_state(FeedStateChange(FeedState.WAITING, "lost"))
    feed.disconnect(OSError("gone"))
    assert values(made)[-1][1] == 100


def test_without_a_price_there_is_no_equity() -> None:
    feed = Timed()
    made = curve(feed, Account(BTC=1))
    assert made.finish() == []
    assert made.start == made.end == START
    feed.push(trade(1))
    assert values(made) == [(0, None, 0), (0, None, 0)]


def test_a_long_recording_has_no_more_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equity_module, "_MOST_POINTS", 10)
    feed = Timed()
    made = curve(feed, Account(BTC=1))
    for second in range(100):
        feed.us = START_US + second * 1_000_000
        feed.push(at(99 - second % 7, 101))
    points = made.finish()
    assert len(points) <= 12
    assert points[0].at == START
    assert points[-1].at == START + timedelta(seconds=99)
