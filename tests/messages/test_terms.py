"""The terms of an order: strings, ids, and the message that places it."""

from __future__ import annotations

import enum
import json
import pickle
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.account.order import Order
from cryptoproto.messages import (
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    Side,
    TimeInForce,
    check_id,
    place_message,
    to_side,
    to_time_in_force,
)
from cryptoproto.messages.plain_values import plain_values


@pytest.mark.parametrize(
    ("side", "time_in_force", "kind"),
    [
        (Side.BUY, TimeInForce.GTC, PlaceBuyLimitOrder),
        (Side.SELL, TimeInForce.GTC, PlaceSellLimitOrder),
        (Side.BUY, TimeInForce.FOK, PlaceBuyFoKOrder),
        (Side.SELL, TimeInForce.FOK, PlaceSellFoKOrder),
        (Side.BUY, TimeInForce.IOC, PlaceBuyIoCOrder),
        (Side.SELL, TimeInForce.IOC, PlaceSellIoCOrder),
    ],
)
def test_the_right_one_of_the_six_messages(side: Side, time_in_force: TimeInForce, kind: type[cp.PlaceOrder]) -> None:
    message = place_message(
        "BTC_USD", side, amount="1.50", price=3, time_in_force=time_in_force, ttl=60, client_order_id=9
    )
    assert message == kind("BTC_USD", "1.5", 3, 9, 60)
    order = Order.of(message, created_ns=4)
    assert (order.side, order.time_in_force, order.created_ns) == (side, time_in_force, 4)
    assert order.message() == message


def test_floats_are_refused_with_the_reason() -> None:
    with pytest.raises(cp.ConfigurationError, match="float"):
        place_message("BTC_USD", Side.BUY, amount=0.1, price="1", client_order_id=1)  # type: ignore[arg-type]
    with pytest.raises(cp.ConfigurationError, match=r"price=.*float"):
        Order(client_order_id=1, trade_pair="BTC_USD", side=Side.BUY, amount="1", price=0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize("side", ["buy", "BUY", "Buy", Side.BUY])
@pytest.mark.parametrize("time_in_force", ["ioc", "IOC", TimeInForce.IOC])
def test_strings_are_accepted_for_side_and_time_in_force(side: Side | str, time_in_force: TimeInForce | str) -> None:
    terms: dict[str, Any] = {"amount": "1", "price": "2", "time_in_force": time_in_force, "client_order_id": 3}
    assert place_message("BTC_USD", side, **terms) == PlaceBuyIoCOrder("BTC_USD", "1", "2", 3)
    order = Order(trade_pair="BTC_USD", side=side, **terms)
    assert (order.side, order.time_in_force) == (Side.BUY, TimeInForce.IOC)


def test_every_name_of_a_side_and_a_time_in_force() -> None:
    assert [to_side(name) for name in ("buy", "sell")] == list(Side)
    assert [to_time_in_force(name) for name in ("gtc", "fok", "ioc")] == list(TimeInForce)


WRONG_SIDES: list[object] = ["", "bid", 1, None, b"buy", [], TimeInForce.GTC]


WRONG_TIMES: list[object] = ["", "day", 1, None, b"gtc", {}, Side.BUY]


WRONG_SIDE = r'side=.* must be "buy" or "sell", or a Side'


WRONG_TIME = r'time_in_force=.* must be "gtc" \(good till cancelled\), "fok" \(fill or kill\) or "ioc" \(immediate'


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        *(("side", side, WRONG_SIDE) for side in WRONG_SIDES),
        *(("time_in_force", time, WRONG_TIME) for time in WRONG_TIMES),
        ("client_order_id", True, "client_order_id=True must be an int, not bool"),
        ("client_order_id", 1.0, r"client_order_id=1\.0 must be an int, not float"),
        ("client_order_id", "1", "client_order_id='1' must be an int, not str"),
        ("amount", "-1", "amount=-1 must be a finite number greater than zero"),
        ("price", 0, "price=0 must be a finite number greater than zero"),
        ("price", 0.1, "price=0.1 is a float"),
    ],
)
def test_terms_that_can_never_be_valid(name: str, value: object, words: str) -> None:
    terms: dict[str, Any] = {"trade_pair": "BTC_USD", "side": "buy", "amount": "1", "price": "2", "client_order_id": 3}
    terms[name] = value
    with pytest.raises(cp.OrderInvalid, match=words) as caught:
        Order(**terms)
    assert caught.value.sent is False
    trade_pair, side = terms.pop("trade_pair"), terms.pop("side")
    with pytest.raises(cp.OrderInvalid, match=words):
        place_message(trade_pair, side, **terms)


def test_errors_do_not_repeat_what_is_very_long() -> None:
    with pytest.raises(cp.OrderInvalid) as caught:
        to_side("x" * 10**6)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize("value", [-(2**63), -1, 0, 7, 2**63 - 1])
def test_ids(value: int) -> None:
    assert check_id(value, "order_id") == value


@pytest.mark.parametrize("value", [True, 7.0, "7", None, Decimal(7), -(2**63) - 1, 2**63])
def test_what_is_not_an_id(value: object) -> None:
    with pytest.raises(cp.OrderInvalid, match=r"order_id=.* (must be an int, not|does not fit into 64 bits)"):
        check_id(value, "order_id")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Side.SELL, "sell"),
        (TimeInForce.IOC, "ioc"),
        (cp.OrderStatus.FILLED, "filled"),
        (cp.State.LIVE, "live"),
        (cp.FeedState.LIVE, "live"),
        (cp.OutcomeKind.CANCEL_ALL, "cancel_all"),
    ],
)
def test_enums_can_be_compared_with_strings_and_printed(value: enum.StrEnum, text: str) -> None:
    assert value == text
    assert hash(value) == hash(text)
    assert (str(value), f"{value:>10}", f"{value!r}") == (
        text, f"{text:>10}", f"<{type(value).__name__}.{value.name}: {text!r}>",
    )  # fmt: skip
    assert json.loads(json.dumps({value: value})) == {text: text}
    assert type(plain_values(value)) is str
    assert pickle.loads(pickle.dumps(value)) is value
