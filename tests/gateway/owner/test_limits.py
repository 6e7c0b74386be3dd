"""An owner checks the orders of each strategy against its limits, without a server."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.gateway import StrategyLimits
from cryptoproto.gateway.owner.limits import LimitChecks, OrderRefused
from cryptoproto.gateway.strategy_ids import strategy_ids

IDS = {number: strategy_ids(number) for number in (1, 2)}


def order(number: int = 1, amount: Any = "1", price: Any = "100", pair: str = "BTC_USD") -> cp.PlaceBuyLimitOrder:
    return cp.PlaceBuyLimitOrder(
        trade_pair=pair, amount=Decimal(amount), price=Decimal(price), client_order_id=IDS[number].next()
    )


def known(placed: cp.PlaceBuyLimitOrder) -> cp.Order:
    return cp.Order.of(placed)


class Owner:
    """The orders and books that the checks look at."""

    def __init__(self) -> None:
        self.unfinished: list[cp.Order] = []
        self.books: dict[str, cp.OrderBook] = {}
        self._placing: list[ExitStack] = []
        self.checks = LimitChecks(lambda: self.unfinished, self.books.get)

    def place(
        self, limits: StrategyLimits, placed: cp.PlaceBuyLimitOrder, number: int = 1, now: float = 0.0
    ) -> ExitStack:
        """Returns what ends when the order has been placed."""
        stack = ExitStack()
        self._placing.append(stack)
        stack.enter_context(self.checks.admit("mm1", number, limits, placed, now))
        return stack


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_without_limits_everything_is_admitted(owner: Owner) -> None:
    for _ in range(100):
        owner.place(StrategyLimits(), order())


def test_orders_that_are_being_placed_and_open_ones_count_once(owner: Owner) -> None:
    limits = StrategyLimits(max_open_orders=2)
    first = order()
    placing = owner.place(limits, first)
    owner.unfinished.append(known(first))  # sent, and its answer has not come
    second = owner.place(limits, order())
    with pytest.raises(OrderRefused, match=r"the limits of strategy mm1: 2 orders have not ended.* max_open_orders=2"):
        owner.place(limits, order())
    placing.close()
    second.close()  # it was refused by the exchange
    owner.place(limits, order())


def test_orders_of_other_strategies_do_not_count(owner: Owner) -> None:
    limits = StrategyLimits(max_open_orders=1, max_open_value={"USD": Decimal(100)})
    owner.unfinished.extend([known(order(2)), known(order(2)), cp.Order.of(order(2))])
    owner.place(limits, order(1))
    with pytest.raises(OrderRefused):
        owner.place(limits, order(1))


def test_the_open_value_is_limited_by_currency(owner: Owner) -> None:
    limits = StrategyLimits(max_open_value={"USD": Decimal(250)})
    owner.place(limits, order())
    owner.place(limits, order(pair="ETH_USD"))
    owner.place(limits, order(pair="BTC_EUR", amount="1000"))
    with pytest.raises(OrderRefused, match="max_open_value=250"):
        owner.place(limits, order())
    owner.place(limits, order(amount="0.5"))


def test_the_rate_is_that_of_one_strategy_and_refused_orders_do_not_count(owner: Owner) -> None:
    limits = StrategyLimits(max_orders_per_second=2, max_open_value={"USD": Decimal(1000)})
    owner.place(limits, order(), now=0.0)
    with pytest.raises(OrderRefused, match="max_open_value"):
        owner.place(limits, order(amount="100"), now=0.1)
    owner.place(limits, order(), now=0.2)
    with pytest.raises(OrderRefused, match="max_orders_per_second=2"):
        owner.place(limits, order(), now=0.9)
    owner.place(limits, order(2), number=2, now=0.9)
    owner.place(limits, order(), now=1.0)


def test_changed_limits_hold_for_the_next_order(owner: Owner) -> None:
    owner.place(StrategyLimits(), order())
    with pytest.raises(OrderRefused, match="max_open_orders=1"):
        owner.place(StrategyLimits(max_open_orders=1), order())


def test_the_price_band_needs_a_book_that_is_not_stale(owner: Owner) -> None:
    limits = StrategyLimits(price_band=Decimal("0.1"))
    with pytest.raises(OrderRefused, match="there is no book of BTC_USD"):
        owner.place(limits, order())
    book = owner.books["BTC_USD"] = cp.OrderBook("BTC_USD")
    with pytest.raises(OrderRefused, match="stale"):
        owner.place(limits, order())
    book.apply(cp.OrderBookAgg("BTC_USD", 1, {Decimal(99): Decimal(1)}, {Decimal(101): Decimal(1)}))
    owner.place(limits, order(price="110"))
    with pytest.raises(OrderRefused, match="price_band"):
        owner.place(limits, order(price="111"))


@pytest.mark.parametrize("amount", ["NaN", "-1", "0", "1E+100"])
def test_numbers_that_cannot_be_checked_are_invalid(owner: Owner, amount: str) -> None:
    with pytest.raises(cp.OrderInvalid, match="amount"):
        owner.place(StrategyLimits(max_open_value={"USD": Decimal(1)}), order(amount=amount))
