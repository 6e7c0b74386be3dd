"""The middle of what others bid and ask."""

from __future__ import annotations

from decimal import Decimal

import cryptoproto as cp
from cryptoproto.quotes.others import middle_of_others
from tests.support.orders import traded


def book(bids: dict[str, str], asks: dict[str, str], newest: int = 9) -> cp.OrderBook:
    made = cp.OrderBook("BTC_USD")
    sides = [{Decimal(price): Decimal(volume) for price, volume in side.items()} for side in (bids, asks)]
    made.apply(cp.OrderBookAgg("BTC_USD", newest, *sides))
    return made


def own(side: str, amount: str, price: str) -> cp.Order:
    return cp.Order(client_order_id=None, trade_pair="BTC_USD", side=side, amount=amount, price=price)


def test_own_orders_are_not_counted() -> None:
    shown = book({"100": "2", "98": "1"}, {"101": "1", "103": "5"})
    assert middle_of_others(shown, [], 9) == Decimal("100.5")
    orders = [own("buy", "1.5", "100"), own("sell", "1", "101"), own("sell", "5", "100")]
    assert middle_of_others(shown, orders, 9) == Decimal("101.5")
    assert middle_of_others(shown, [*orders, own("buy", "0.5", "100")], 9) == Decimal("100.5")


def test_an_order_that_is_filled_in_part_may_be_whole_in_the_book() -> None:
    order = own("buy", "2", "100")
    order.add_trade(traded("1.5"))
    assert middle_of_others(book({"100": "2", "98": "1"}, {"102": "1"}), [order], 0) == 100


def test_without_others_there_is_no_middle() -> None:
    assert middle_of_others(book({"100": "1"}, {}), [], 0) is None
    assert middle_of_others(book({}, {"100": "1"}), [], 0) is None
    assert middle_of_others(book({"99": "1"}, {"100": "1"}), [own("buy", "1", "99")], 0) is None


def test_a_stale_book_and_one_from_before_the_newest_order_have_no_middle() -> None:
    assert middle_of_others(cp.OrderBook("BTC_USD"), [], 0) is None
    assert middle_of_others(book({"99": "1"}, {"100": "1"}, newest=9), [], 10) is None
