"""Orders put together from events and from the messages that placed them."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.history import OrderRecord
from tests.support.histories import Writer, balance, cancelled, changed, closed, placed, trade


def kinds_of(order: OrderRecord) -> list[str]:
    return [change.what for change in order.changes]


def test_an_order_that_rests_and_is_filled_in_parts(writer: Writer, history: Any) -> None:
    writer.commit(
        placed(5, "2", "100", at=1),
        trade(5, "0.5", "100", at=2),
        changed(5, "1.5", "0.01", at=2),
        balance("BTC", "1", "1", at=2),
        trade(5, "1.5", "98", at=3),
        changed(5, "0", "0.03", at=3),
        closed(5, at=3),
    )
    (order,) = history.orders()
    assert kinds_of(order) == ["placed", "filled", "filled", "closed"]
    assert (order.status, order.amount, order.price, order.filled) == ("filled", 2, 100, 2)
    assert (order.average_price, order.fees) == (Decimal("98.5"), Decimal("0.04"))
    assert (order.began_at.timestamp(), order.ended_at and order.ended_at.timestamp()) == (1, 3)
    first = order.changes[1]
    assert (first.amount, first.price, first.remaining, first.fee) == (
        Decimal("0.5"),
        100,
        Decimal("1.5"),
        Decimal("0.01"),
    )
    assert (order.time_in_force, order.ttl, order.sent_at) == (None, None, None)


def test_an_order_that_is_filled_on_arrival(writer: Writer, history: Any) -> None:
    writer.commit(
        trade(5, "2", "100", side="sell", maker=False),
        changed(5, "0", "1", side="sell"),
        placed(5, "2", "90", left="0", side="sell"),
    )
    (order,) = history.orders()
    assert (order.side, order.status, order.price, order.average_price) == (cp.Side.SELL, "filled", 90, 100)
    assert kinds_of(order) == ["filled", "placed"]


def test_terms_of_an_order_that_was_sent(writer: Writer, history: Any) -> None:
    message = cp.PlaceSellIoCOrder("BTC_USD", "2", "90", client_order_id=7, ttl=60)
    at = writer.tell(placed(5, "2", "90", side="sell", client_order_id=7, at=4))
    writer.send(message, at, at=3)
    writer.commit(cancelled(5, side="sell", client_order_id=7, at=4))
    (order,) = history.orders()
    assert (order.time_in_force, order.ttl, order.client_order_id, order.status) == (
        cp.TimeInForce.IOC,
        60,
        7,
        "cancelled",
    )
    assert order.sent_at is not None
    assert (order.sent_at.timestamp(), order.began_at.timestamp()) == (3, 4)
    assert kinds_of(order) == ["sent", "placed", "cancelled"]


def test_orders_that_were_never_placed(writer: Writer, history: Any) -> None:
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "2", "90", 1), -1, at=1)  # refused before there was any event
    at = writer.tell(cp.InsufficientFunds(order_id=8, currency="USD"))
    writer.send(cp.PlaceBuyFoKOrder("BTC_USD", "2", "90", 2), at, at=2)
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "2", "90", 3), at, at=3)  # refused with an error after that event
    writer.commit(balance("USD", "1", "1", at=4))
    refused, rejected, lost = history.orders()
    assert (refused.status, refused.client_order_id, refused.order_id) == ("not_placed", 1, None)
    assert (rejected.status, rejected.client_order_id, rejected.order_id) == ("rejected", 2, 8)
    assert rejected.reason == "insufficient funds: USD"
    assert (lost.status, lost.client_order_id) == ("not_placed", 3)
    assert lost.reason is not None
    assert kinds_of(rejected) == ["sent", "rejected"]


def test_a_rejection_of_an_order_that_somebody_else_sent(writer: Writer, history: Any) -> None:
    writer.commit(cp.InsufficientFunds(order_id=8, currency="USD"))
    assert list(history.orders()) == []


def test_orders_without_an_answer(writer: Writer, history: Any) -> None:
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "2", "90", 1), at=1)
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "2", "90", 2), 100, at=2)  # by an event that is not recorded yet
    assert [(order.client_order_id, order.status) for order in history.orders()] == [(1, "pending"), (2, "pending")]
    # The event is recorded, and the outbox is not cleared yet.
    writer.commit(placed(5, "2", "90", client_order_id=1))
    assert [(order.client_order_id, order.status) for order in history.orders()] == [(1, "open"), (2, "pending")]
    assert list(history.orders(since=3)) == []


def test_an_order_that_was_accepted_before_the_history_was_complete(writer: Writer, history: Any) -> None:
    """With live events alone, the answer may be missing: the list of open orders settles the order."""
    writer.commit(placed(5, "2", "90", client_order_id=1))
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "2", "90", 1), 2)
    writer.commit(balance("USD", "1", "1"))
    writer.commit(balance("USD", "2", "1"))
    assert [order.status for order in history.orders()] == ["open"]


def test_an_order_from_before_the_history(writer: Writer, history: Any) -> None:
    writer.commit(changed(5, "1", "0.5", at=1), closed(5, at=2))
    writer.commit(trade(6, "1", "100", at=3), cancelled(6, at=3))
    first, second = history.orders()
    assert (first.amount, first.price, first.status, first.fees) == (None, None, "filled", Decimal("0.5"))
    assert kinds_of(first) == ["changed", "closed"]
    assert (second.side, second.filled, second.status) == (cp.Side.BUY, 1, "cancelled")


def test_a_range_has_the_orders_that_began_in_it(writer: Writer, history: Any) -> None:
    writer.commit(placed(1, "1", "100", at=10))
    writer.commit(placed(2, "1", "100", at=20), closed(1, at=20))
    writer.commit(placed(3, "1", "100", at=30))
    writer.commit(cancelled(2, at=40), cancelled(3, at=40))
    writer.commit(placed(4, "1", "100", at=50))

    def found(**limits: Any) -> list[tuple[int | None, str]]:
        return [(order.order_id, order.status) for order in history.orders(**limits)]

    assert found() == [(1, "filled"), (2, "cancelled"), (3, "cancelled"), (4, "open")]
    assert found(since=20, until=30) == [(2, "cancelled")]
    assert found(since=11) == [(2, "cancelled"), (3, "cancelled"), (4, "open")]
    assert found(until=20) == [(1, "filled")]
    assert found(since=60) == []
    assert found(trade_pair="ETH_USD") == []


def test_a_range_ends_where_nothing_of_it_is_open(writer: Writer, history: Any) -> None:
    writer.commit(placed(1, "1", "100", at=10), cancelled(1, at=10))
    at = writer.commit(placed(2, "1", "100", client_order_id=9, at=20))
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "100", 9), at, at=5)
    assert [order.order_id for order in history.orders(until=15)] == [1]


def test_what_has_no_order_is_no_change(writer: Writer, history: Any) -> None:
    writer.commit(balance("USD", "1", "1"))
    assert list(history.orders()) == []


def test_what_an_error_refused_when_there_was_no_event(writer: Writer, history: Any) -> None:
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "1", 1), -1, at=5)
    assert [order.status for order in history.orders()] == ["not_placed"]
    assert [order.status for order in history.orders(since=4, until=6)] == ["not_placed"]
    assert list(history.orders(since=6)) == []


def test_a_range_has_what_an_error_refused_in_it(writer: Writer, history: Any) -> None:
    placed_by = writer.tell(placed(5, "1", "1", client_order_id=1, at=1))
    refused_by = writer.tell(cp.InsufficientFunds(order_id=6, currency="USD"))
    other = writer.commit(placed(7, "1", "1", at=2))
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "1", 1), placed_by, at=20)  # by a clock that is ahead
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "1", 2), refused_by, at=20)
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "1", 3), other, at=20)
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "1", 4), writer.commit(cp.OrderNotFound(1)), at=21)
    assert [order.client_order_id for order in history.orders(since=15)] == [3, 4]
    writer.commit(placed(8, "1", "1", at=30))
    assert [order.client_order_id for order in history.orders(since=15)] == [3, 4, None]
    assert [order.client_order_id for order in history.orders(since=15, until=21)] == [3]


def test_each_order_gets_the_message_that_its_event_answers(writer: Writer, history: Any) -> None:
    first, second = (
        cp.PlaceBuyIoCOrder("BTC_USD", "1", "1", 0),
        cp.PlaceBuyFoKOrder("BTC_USD", "1", "1", 2),
    )
    at = writer.tell(placed(5, "1", "1", client_order_id=0))
    writer.send(cp.PlaceBuyLimitOrder("BTC_USD", "1", "1", 9), at)  # refused with an error, at the same time
    writer.send(first, at)
    elsewhere = writer.tell(placed(6, "1", "1", client_order_id=1))
    later = writer.tell(placed(7, "1", "1", client_order_id=2))
    writer.send(second, later)
    writer.commit(balance("USD", "1", "1"))
    found = {order.client_order_id: (order.status, order.as_dict()["time_in_force"]) for order in history.orders()}
    assert found == {9: ("not_placed", "gtc"), 0: ("open", "ioc"), 1: ("open", None), 2: ("open", "fok")}
    assert elsewhere < later


def test_the_file_is_opened_as_often_for_a_long_history(
    writer: Writer, history: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    connect = sqlite3.connect

    def count(path: str, **options: Any) -> sqlite3.Connection:
        opened.append(path)
        connection: sqlite3.Connection = connect(path, **options)
        return connection

    monkeypatch.setattr(sqlite3, "connect", count)

    def times() -> int:
        opened.clear()
        list(history.orders())
        return len(opened)

    writer.commit(placed(1, "1", "100"))
    few = times()
    for number in range(2, 40):
        writer.commit(placed(number, "1", "100"))
    assert times() == few
