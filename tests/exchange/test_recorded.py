"""The rules of trading with a recorded market, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.exchange.commands import (
    Broadcast,
    DisablePairs,
    Observe,
    Output,
    Private,
    Public,
    Refused,
    Register,
    Submit,
)
from cryptoproto.exchange.engine import Engine
from cryptoproto.exchange.recorded import RecordedSide, units_of
from cryptoproto.exchange.units import MAX_UNITS, UNIT
from tests.support.recordings import Market
from tests.support.scripted_feed import book

RICH = {"USD": "1000000", "BTC": "1000"}


class Desk:
    """An engine with a recorded market, and one client or more."""

    def __init__(self, **options: Any) -> None:
        self.engine = Engine(trade_pairs=(), recorded=True, **options)
        self.time_us = 1_000_000
        for client_id in ("alice", "bob"):
            self.engine.apply(Register(client_id, dict(RICH), 0))

    def see(self, update: Any) -> list[str]:
        """Let something happen, and return the fills."""
        self.time_us += 1000
        return self.fills(self.engine.apply(Observe(update, self.time_us)))

    def book(self, buys: Mapping[str, str], sells: Mapping[str, str], order_id: int = 1) -> list[str]:
        return self.see(book(order_id, buys, sells))

    def trade(self, amount: str, price: str, *, maker_buy: bool) -> list[str]:
        return self.see(cp.AnonymousTrade("BTC_USD", 1, Decimal(amount), Decimal(price), maker_buy, (1, 0)))

    def do(self, message: Any, client_id: str = "alice") -> list[str]:
        self.time_us += 1000
        self.last = self.engine.apply(Submit(client_id, message, self.time_us))
        return self.fills(self.last)

    def buy(self, amount: str, price: str, kind: Any = cp.PlaceBuyLimitOrder, client_id: str = "alice") -> list[str]:
        return self.do(kind("BTC_USD", amount, price), client_id)

    def sell(self, amount: str, price: str, kind: Any = cp.PlaceSellLimitOrder) -> list[str]:
        return self.do(kind("BTC_USD", amount, price))

    def kinds(self) -> list[str]:
        return [type(output.message).__name__ for output in self.last if isinstance(output, Private)]

    @staticmethod
    def fills(outputs: list[Output]) -> list[str]:
        return [
            f"{'bought' if each.bought else 'sold'} {each.amount.normalize():f} at {each.price.normalize():f}"
            f"{' as maker' if each.maker else ''}"
            for each in (output.message for output in outputs if isinstance(output, Private))
            if isinstance(each, cp.OwnTrade)
        ]

    def open(self, client_id: str = "alice") -> list[tuple[str, str]]:
        books = self.engine.open_orders(client_id).order_books
        return [
            (f"{order.price.normalize():f}", f"{order.amount.normalize():f}")
            for pair in books.values()
            for order in (*pair.buy, *pair.sell)
        ]


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.book({"100": "5", "99": "10"}, {"101": "2", "102": "3"})
    return desk


# Orders that come in


def test_an_order_is_filled_from_the_best_level_on_at_the_prices_of_the_levels(desk: Desk) -> None:
    assert desk.buy("4", "102") == ["bought 2 at 101", "bought 2 at 102"]
    assert desk.open() == []
    assert desk.sell("7", "99") == ["sold 5 at 100", "sold 2 at 99"]


def test_what_is_not_filled_rests_or_is_cancelled(desk: Desk) -> None:
    assert desk.buy("3", "101") == ["bought 2 at 101"]
    assert desk.open() == [("101", "1")]
    assert desk.buy("9", "102", cp.PlaceBuyIoCOrder) == ["bought 3 at 102"]
    assert desk.kinds()[-2:] == ["BuyOrderCancelled", "SetBalance"]
    assert desk.open() == [("101", "1")]


def test_fill_or_kill_counts_what_is_left(desk: Desk) -> None:
    assert desk.buy("5.1", "102", cp.PlaceBuyFoKOrder) == []
    assert desk.buy("5", "102", cp.PlaceBuyFoKOrder) == ["bought 2 at 101", "bought 3 at 102"]
    assert desk.buy("0.1", "102", cp.PlaceBuyFoKOrder) == []
    assert desk.sell("15", "99", cp.PlaceSellFoKOrder) == ["sold 5 at 100", "sold 10 at 99"]


def test_what_was_taken_is_gone_until_the_level_changes(desk: Desk) -> None:
    assert desk.buy("1.5", "101") == ["bought 1.5 at 101"]
    assert desk.buy("1", "101", cp.PlaceBuyIoCOrder) == ["bought 0.5 at 101"]
    desk.book({"100": "4"}, {"101": "2", "102": "9"})  # another level has changed
    assert desk.buy("1", "101", cp.PlaceBuyIoCOrder) == []
    desk.book({"100": "4"}, {"101": "1", "102": "9"})
    assert desk.buy("9", "101", cp.PlaceBuyIoCOrder) == ["bought 1 at 101"]


def test_orders_do_not_move_the_recorded_market(desk: Desk) -> None:
    before = desk.engine.aggregated_book("BTC_USD")
    desk.buy("2", "101")
    desk.buy("1", "100.5")
    assert (
        desk.engine.aggregated_book("BTC_USD") == before == book(1, {"100": "5", "99": "10"}, {"101": "2", "102": "3"})
    )
    assert not any(isinstance(output, Public) for output in desk.last)


def test_an_order_that_meets_an_older_one_of_the_same_client_cancels_it(desk: Desk) -> None:
    desk.sell("1", "100.8")
    desk.buy("1", "100.5", client_id="bob")
    assert desk.buy("1", "101") == ["bought 1 at 101"]
    assert "SellOrderCancelled" in desk.kinds()
    assert desk.sell("1", "100.5") == []  # it does not trade with bob's
    assert desk.open("bob") == [("100.5", "1")]


def test_a_rest_that_is_worth_nothing_is_cancelled() -> None:
    desk = Desk()
    desk.book({}, {"0.5": "3"})
    desk.buy("3.00000001", "0.5")
    assert desk.kinds()[-1] == "BuyOrderCancelled"
    assert desk.sell("0.00000001", "0.00000001", cp.PlaceSellIoCOrder) == []


def test_fees_are_those_of_taker_and_maker() -> None:
    desk = Desk(maker_fee=Decimal("0.01"), taker_fee=Decimal("0.02"))
    desk.book({"100": "5"}, {"101": "5"})
    desk.buy("1", "101")
    desk.sell("1", "103")
    desk.book({"104": "5"}, {"105": "5"})
    assert desk.engine.collected_fees == {"BTC": Decimal("0.02"), "USD": Decimal("1.03")}


# Orders that rest: the queue


def test_recorded_volume_at_the_price_is_filled_first(desk: Desk) -> None:
    desk.buy("3", "100")
    assert desk.trade("4", "100", maker_buy=True) == []
    assert desk.trade("3", "100", maker_buy=True) == ["bought 2 at 100 as maker"]
    assert desk.trade("9", "100", maker_buy=True) == ["bought 1 at 100 as maker"]
    assert desk.open() == []


def test_trades_of_the_other_side_do_not_count(desk: Desk) -> None:
    desk.buy("3", "100")
    assert desk.trade("50", "100", maker_buy=False) == []
    assert desk.trade("50", "101", maker_buy=True) == []
    assert desk.trade("6", "100", maker_buy=True) == ["bought 1 at 100 as maker"]


def test_a_price_of_its_own_has_nobody_in_front(desk: Desk) -> None:
    desk.sell("1", "100.5")
    assert desk.trade("0.4", "100.5", maker_buy=False) == ["sold 0.4 at 100.5 as maker"]
    desk.book({"100": "5"}, {"100.5": "7", "101": "2"})  # others come behind
    assert desk.trade("0.4", "100.5", maker_buy=False) == ["sold 0.4 at 100.5 as maker"]


def test_who_leaves_the_queue_was_behind_as_long_as_that_is_possible(desk: Desk) -> None:
    desk.buy("1", "100")  # behind 5
    desk.book({"100": "8", "99": "10"}, {"101": "2"})
    desk.book({"100": "6", "99": "10"}, {"101": "2"})
    assert desk.trade("5", "100", maker_buy=True) == []
    desk.buy("1", "99")  # behind 10
    desk.book({"99": "4"}, {"101": "2"})
    assert desk.trade("4.5", "99", maker_buy=True) == ["bought 1 at 100 as maker"]  # 3.5 are left, behind 4
    assert desk.trade("1", "99", maker_buy=True) == ["bought 0.5 at 99 as maker"]


def test_own_orders_are_filled_in_order_of_price_then_time(desk: Desk) -> None:
    desk.buy("1", "100", client_id="bob")
    desk.buy("1", "100")
    desk.buy("1", "100.5")
    assert desk.trade("8", "100", maker_buy=True) == [
        "bought 1 at 100.5 as maker", "bought 1 at 100 as maker", "bought 1 at 100 as maker",
    ]  # fmt: skip
    assert desk.open() == desk.open("bob") == []


def test_volume_that_came_between_two_own_orders_is_filled_between_them(desk: Desk) -> None:
    desk.buy("1", "100")  # behind 5
    desk.book({"100": "7", "99": "10"}, {"101": "2"})
    desk.buy("1", "100", client_id="bob")  # behind 7
    assert desk.trade("6.5", "100", maker_buy=True) == ["bought 1 at 100 as maker"]
    assert desk.open("bob") == [("100", "1")]
    assert desk.trade("2", "100", maker_buy=True) == ["bought 0.5 at 100 as maker"]  # 1.5 more were before it


# Orders that rest: trades and books that pass them


def test_a_trade_at_a_worse_price_fills_what_is_better(desk: Desk) -> None:
    desk.buy("1", "100")
    assert desk.trade("0.7", "99", maker_buy=True) == ["bought 0.7 at 100 as maker"]
    desk.sell("1", "102")
    assert desk.trade("9", "103", maker_buy=False) == ["sold 1 at 102 as maker"]


def test_a_book_that_comes_across_fills_at_the_price_of_the_order(desk: Desk) -> None:
    desk.buy("3", "100")
    assert desk.book({"98": "1"}, {"99": "1", "99.5": "1", "101": "7"}) == [
        "bought 1 at 100 as maker", "bought 1 at 100 as maker",
    ]  # fmt: skip
    assert desk.open() == [("100", "1")]
    assert desk.book({"98": "1"}, {"99": "1", "99.5": "1", "101": "8"}) == []  # that volume is taken
    assert desk.book({"98": "1"}, {"99": "2"}) == ["bought 1 at 100 as maker"]


def test_the_first_own_order_gets_the_volume(desk: Desk) -> None:
    desk.buy("1", "100", client_id="bob")
    desk.buy("1", "100")
    assert desk.book({}, {"100": "1.5"}) == ["bought 1 at 100 as maker", "bought 0.5 at 100 as maker"]
    assert desk.open("bob") == []


def test_a_fill_that_is_worth_nothing_does_not_happen() -> None:
    desk = Desk()
    desk.book({}, {})
    desk.buy("100", "0.5")
    assert desk.trade("0.00000001", "0.5", maker_buy=True) == []
    assert desk.book({}, {"0.4": "0.00000001"}) == []


def test_a_better_level_that_is_taken_leaves_the_rest_to_the_next(desk: Desk) -> None:
    desk.sell("12", "100")
    desk.sell("1", "100")
    assert desk.open() == [("100", "7"), ("100", "1")]
    fills = ["sold 7 at 100 as maker", "sold 1 at 100 as maker"]
    assert desk.book({"100.5": "7", "100.2": "1"}, {}) == fills


# The market


def test_a_lost_market_fills_nothing(desk: Desk) -> None:
    desk.buy("1", "99")
    desk.see(None)
    assert desk.buy("1", "101", cp.PlaceBuyIoCOrder) == []
    assert desk.engine.aggregated_book("BTC_USD") == book(3, {}, {})
    desk.buy("1", "98")  # nobody knows what is before it
    assert desk.trade("1000000", "98", maker_buy=True) == ["bought 1 at 99 as maker"]
    desk.book({"98": "2"}, {"101": "2"})
    assert desk.trade("2.5", "98", maker_buy=True) == ["bought 0.5 at 98 as maker"]


def test_pairs_show_as_they_come(desk: Desk) -> None:
    assert list(desk.engine.trade_pairs) == ["BTC_USD"]
    (refused,) = desk.engine.apply(Submit("alice", cp.PlaceBuyLimitOrder("ETH_USD", "1", "1"), 0))
    assert isinstance(refused, Refused)
    desk.see(book(9, pair="ETH_USD"))
    assert desk.engine.trade_pairs == ("BTC_USD", "ETH_USD")
    assert desk.engine.take_touched() == ["BTC_USD", "ETH_USD"]
    desk.see(book(9, pair="strange"))
    assert desk.engine.trade_pairs == ("BTC_USD", "ETH_USD")
    with pytest.raises(cp.ConfigurationError, match="unknown trade pair"):
        desk.engine.aggregated_book("LTC_USD")
    assert Engine(trade_pairs=["LTC_USD"], recorded=True).aggregated_book("LTC_USD") == book(0, {}, {}, pair="LTC_USD")


def test_orders_get_ids_that_the_market_would_have_given_them(desk: Desk) -> None:
    desk.book({"100": "1"}, {"101": "1"}, order_id=500)
    desk.buy("1", "99")
    assert desk.engine.last_order_id == 501


def test_trades_are_public_and_broadcasts_are_passed_on(desk: Desk) -> None:
    trade = cp.AnonymousTrade("BTC_USD", 1, Decimal(1), Decimal(100), True, (1, 0))
    assert desk.engine.apply(Observe(trade, 0)) == [Public(trade)]
    disabled, enabled = cp.TradesDisabledOnPairs(["BTC_USD"]), cp.TradesEnabledOnPairs(["BTC_USD"])
    assert desk.engine.apply(Observe(disabled, 0)) == [Broadcast(disabled)]
    desk.buy("1", "99")
    assert isinstance(desk.last[0], Refused)
    assert desk.engine.apply(Observe(enabled, 0)) == [Broadcast(enabled)]


def test_the_rules_of_the_market_hold(desk: Desk) -> None:
    rules = cp.TradingRules([cp.Instrument("BTC_USD", tick_size="0.5").to_rules()])
    assert desk.engine.apply(Observe(rules, 0)) == [Public(rules)]
    desk.buy("1", "99.3")
    assert isinstance(desk.last[0], Refused)
    desk.buy("1", "99.5")
    assert desk.open() == [("99.5", "1")]


def test_orders_expire_on_the_time_of_the_market(desk: Desk) -> None:
    desk.do(cp.PlaceBuyLimitOrder("BTC_USD", "1", "99", ttl=60))
    desk.time_us += 61_000_000
    desk.book({"100": "1"}, {"101": "1"})
    assert desk.open() == []


def test_an_engine_with_its_own_market_observes_no_other() -> None:
    with pytest.raises(TypeError, match="market of its own"):
        Engine().apply(Observe(None, 0))
    assert Engine(trade_pairs=["BTC_USD"], recorded=True).apply(DisablePairs(["BTC_USD"], 0))


# Numbers


def test_numbers_finer_than_a_unit() -> None:
    assert units_of(Decimal("0.123456789")) == 12_345_678
    assert units_of(Decimal("1E+40")) == MAX_UNITS
    side = RecordedSide(buy=False)
    side.replace({Decimal("1.000000001"): Decimal(5), Decimal(2): Decimal("1.000000019")})
    assert list(side.levels_within(3 * UNIT)) == [(2 * UNIT, 100_000_001)]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40), st.integers(980, 1020))))
def test_no_client_gets_more_than_the_market_had(seed: int, orders: list[tuple[int, int, int]]) -> None:
    """And what is on hold follows from the open orders, whatever happens."""
    desk = Desk()
    kinds = [
        cp.PlaceBuyLimitOrder, cp.PlaceSellLimitOrder, cp.PlaceBuyIoCOrder,
        cp.PlaceSellIoCOrder, cp.PlaceBuyFoKOrder, cp.PlaceSellFoKOrder,
    ]  # fmt: skip
    market = iter(Market(seed))
    desk.see(book(1, {}, {}))
    for number, (kind, amount, price) in enumerate(orders):
        for _ in range(3):
            desk.see(next(market))
        desk.do(kinds[kind]("BTC_USD", Decimal(amount) / 10, Decimal(price)), ("alice", "bob")[number % 2])
        for update in [output.message for output in desk.last if isinstance(output, Private)]:
            if isinstance(update, cp.OwnTrade) and not update.maker:
                shown = desk.engine.aggregated_book("BTC_USD")
                levels = shown.sell_levels if update.bought else shown.buy_levels
                assert update.amount <= levels[update.price]
        for client_id in ("alice", "bob"):
            held = {"USD": Decimal(0), "BTC": Decimal(0)}
            for pair in desk.engine.open_orders(client_id).order_books.values():
                held["USD"] += sum(order.price * order.amount for order in pair.buy)
                held["BTC"] += sum(order.amount for order in pair.sell)
            assert held == {name: funds.on_hold for name, funds in desk.engine.balances(client_id).balances.items()}
