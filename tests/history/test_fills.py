"""A trade is joined to the event with its fee."""

from __future__ import annotations

from decimal import Decimal

from cryptoproto.history.fills import trade_record, with_fees
from cryptoproto.messages import Message, Side
from tests.support.histories import balance, changed, closed, entries_of, trade


def found(*messages: Message) -> list[tuple[str, Decimal | None]]:
    return [
        (type(fill.entry.message).__name__, fill.change.fee if fill.change else None)
        for fill in with_fees(entries_of(*messages))
    ]


def test_the_next_change_of_the_order_has_the_fee() -> None:
    assert found(
        balance("BTC", "1", "1"), trade(1, "1", "2"), balance("USD", "1", "1"), changed(1, "0", "0.1"), closed(1)
    ) == [("SetBalance", None), ("OwnTrade", Decimal("0.1")), ("SetBalance", None), ("BuyOrderClosed", None)]


def test_trades_of_several_orders_between_each_other() -> None:
    assert found(trade(1, "1", "2"), trade(2, "1", "2"), changed(2, "0", "0.2"), changed(1, "0", "0.1")) == [
        ("OwnTrade", Decimal("0.1")),
        ("OwnTrade", Decimal("0.2")),
    ]


def test_an_exchange_that_says_nothing_of_fees() -> None:
    assert found(trade(1, "1", "2"), trade(1, "1", "2"), closed(1)) == [
        ("OwnTrade", None),
        ("OwnTrade", None),
        ("BuyOrderClosed", None),
    ]
    assert found(trade(1, "1", "2")) == [("OwnTrade", None)]


def test_a_change_without_a_trade_stands_by_itself() -> None:
    assert found(changed(1, "0.5", "0.1")) == [("BuyOrderAmountChanged", None)]


def test_what_waits_is_bounded() -> None:
    many = [balance("USD", "1", "1") for _ in range(100)]
    fills = with_fees(entries_of(trade(1, "1", "2"), *many, changed(1, "0", "0.1")))
    assert [type(fill.entry.message).__name__ for fill in fills].count("BuyOrderAmountChanged") == 1
    assert next(with_fees(entries_of(trade(1, "1", "2"), *many))).change is None


def test_a_record() -> None:
    (fill,) = with_fees(entries_of(trade(7, "1", "2", side="sell", client_order_id=9), changed(7, "0", "0.5")))
    record = trade_record(fill)
    assert (record.side, record.fee, record.fee_currency, record.maker) == (Side.SELL, Decimal("0.5"), "USD", True)
    assert (record.transaction_id, record.order_id, record.client_order_id) == (1, 7, 9)
    assert record.time.timestamp() == 1
