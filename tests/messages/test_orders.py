"""Messages about orders: what is accepted when one is built, and checked before one is sent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.messages import (
    CancelOrder,
    OrderPlaced,
    PlaceOrder,
    encode,
)
from cryptoproto.messages.orders import check_cancel, check_place
from tests.support.message_samples import (
    ORDERS,
)

D = Decimal


@pytest.mark.parametrize("amount", ["1.5", D("1.5"), 2, "0.00000001", "1e-8", D("1E-8"), 10**40, "1E+3", "  3 "])
def test_amounts_as_decimal_string_or_int(amount: cp.AmountLike) -> None:
    for order in ORDERS:
        message = order("BTC_USD", amount, amount)
        assert message.amount == message.price == D(amount)
        assert isinstance(message.amount, Decimal)
        payload = json.loads(encode(message))
        assert payload["amount"] == payload["price"] == f"{D(amount):f}"
        assert "E" not in payload["amount"].upper()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.1, r'=0\.1 is a float, whose exact value is 0\.1000000000000000055\d+; pass a string .*"0\.1"'),
        (float("nan"), "is a float"),
        (float("inf"), "is a float"),
        (True, "must be a Decimal, a string or an int, not bool"),
        (None, "not NoneType"),
        (b"1", "not bytes"),
        ("", "is not a decimal number"),
        ("one", "is not a decimal number"),
        ("1,5", "is not a decimal number"),
        ("0x10", "is not a decimal number"),
        ("NaN", "must be a finite number greater than zero"),
        ("sNaN", "must be a finite number greater than zero"),
        ("Infinity", "must be a finite number greater than zero"),
        (D("-Infinity"), "must be a finite number greater than zero"),
        (D("NaN"), "must be a finite number greater than zero"),
        (0, "must be a finite number greater than zero"),
        ("0E-8", "must be a finite number greater than zero"),
        (-1, "must be a finite number greater than zero"),
        ("-0.00000001", "must be a finite number greater than zero"),
        ("1E+9999999999999999999999", "is not a decimal number"),
    ],
)
def test_amounts_that_are_rejected(value: Any, words: str) -> None:
    for order in ORDERS:
        for field in ("amount", "price"):
            fields = {"amount": D(1), "price": D(1)} | {field: value}
            with pytest.raises(cp.OrderInvalid, match=f"{field}.*{words}"):
                order("BTC_USD", **fields)


@pytest.mark.parametrize("ttl", [-1, -60, 1.5, "60", None, True])
def test_a_ttl_that_is_rejected(ttl: Any) -> None:
    for order in ORDERS:
        with pytest.raises(cp.OrderInvalid, match=r"ttl=.* must be 0"):
            order("BTC_USD", 1, 1, ttl=ttl)


@pytest.mark.parametrize("order", ORDERS)
def test_which_fields_are_always_sent_and_which_are_omitted(order: type[PlaceOrder]) -> None:
    bare = {"@type": order.__name__, "trade_pair": "BTC_USD", "amount": "1", "price": "2", "ttl": 0}
    assert json.loads(encode(order("BTC_USD", 1, 2))) == order("BTC_USD", 1, 2).payload == bare
    tiny = bare | {"amount": "0.00000001"}  # written by the slower encoder
    assert json.loads(encode(order("BTC_USD", "1E-8", 2))) == order("BTC_USD", "1E-8", 2).payload == tiny
    named = order("BTC_USD", 1, 2, client_order_id=0, ttl=60)
    assert json.loads(encode(named)) == bare | {"client_order_id": 0, "ttl": 60}


@pytest.mark.parametrize("number", ["7", 7.0, True, D(7), b"7"])
def test_a_client_order_id_of_the_wrong_type(number: Any) -> None:
    for order in ORDERS:
        with pytest.raises(cp.OrderInvalid, match=r"^client_order_id=.* must be an int or None"):
            order("BTC_USD", 1, 1, client_order_id=number)


@pytest.mark.parametrize("pair", [5, None, b"BTC_USD", ("BTC", "USD")])
def test_a_trade_pair_of_the_wrong_type(pair: Any) -> None:
    for order in ORDERS:
        with pytest.raises(cp.OrderInvalid, match=r'^trade_pair=.* must be a string like "BTC_USD"'):
            order(pair, 1, 1)


# An exchange has to be able to read these, so they are checked when they are sent: see test_codec.


def test_an_order_that_only_its_sender_rejects() -> None:
    for order in ORDERS:
        for field in ("amount", "price"):
            fields: dict[str, Any] = {"amount": D(1), "price": D(1)} | {field: D("1.000000001")}
            with pytest.raises(cp.OrderInvalid, match=f"^{field}=1.000000001 has more than 8 decimals"):
                check_place(order("BTC_USD", **fields))


def test_a_client_order_id_of_64_bits() -> None:
    for order in ORDERS:
        for number in (None, 0, 2**63 - 1, -(2**63)):
            check_place(order("BTC_USD", 1, 1, client_order_id=number))
        for number in (2**63, -(2**63) - 1):
            with pytest.raises(cp.OrderInvalid, match=f"^client_order_id={number} does not fit into 64 bits"):
                check_place(order("BTC_USD", 1, 1, client_order_id=number))


@pytest.mark.parametrize("number", ["7", 7.0, True, None, D(7)])
def test_an_order_id_of_the_wrong_type(number: Any) -> None:
    with pytest.raises(cp.OrderInvalid, match=r"^order_id=.* must be an int, the id that the exchange assigned, not "):
        check_cancel(CancelOrder(number))


def test_an_order_id_of_64_bits() -> None:
    for number in (0, 2**63 - 1, -(2**63)):
        check_cancel(CancelOrder(number))
    for number in (2**63, -(2**63) - 1):
        with pytest.raises(cp.OrderInvalid, match=f"^order_id={number} does not fit into 64 bits"):
            check_cancel(CancelOrder(number))


def test_an_event_of_an_order_says_when() -> None:
    event = OrderPlaced(order_id=1, trade_pair="A_B", time=(1, 2), price=D(1), initial_amount=D(2), amount=D(2))
    assert event.at == datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)
