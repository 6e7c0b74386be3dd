"""Steps compared with what was received, and the JSON that they send."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.conformance import Step, parse_script
from cryptoproto.conformance.matching import match, payload, raw_bytes, settings
from cryptoproto.conformance.seen import Seen
from cryptoproto.conformance.values import Bindings

EVENT = Seen("event", "OrderNotFound", {"order_id": 7, "a": {"b": "1.0"}}, numbers={"transaction": 5})


def step(line: str, peer: str = "exchange") -> Step:
    text = f"Title: t\nChecks: c\nPeer: {peer}\n\nopen\n< close\n{line}"
    return parse_script(text, name="n", file="f").steps[2]


@pytest.mark.parametrize(
    ("line", "difference"),
    [
        ("< event", ""),
        ("< event OrderNotFound order_id=7 a.b=1 [transaction 5]", ""),
        ("< event BuyOrderPlaced", "OrderNotFound is not BuyOrderPlaced"),
        ("< error 1", "event is not error"),
        ("< event order_id=8", "order_id is 7, not 8"),
        ("< event a.b.c=8", "a.b.c is None, not 8"),
        ("< event [transaction 6]", "transaction is 5, not 6"),
        ("< event 3", "None is not 3"),
    ],
)
def test_events(line: str, difference: str) -> None:
    assert match(step(line), EVENT, Bindings()).difference == difference


def test_variables_are_bound_by_a_match_alone() -> None:
    before = Bindings()
    found = match(step("< event order_id=$order [transaction $t]"), EVENT, before)
    assert (found.bindings.resolve(step("< event x=$order").fields["x"])) == 7
    with pytest.raises(cp.ConfigurationError):
        before.resolve(step("< event x=$order").fields["x"])


@pytest.mark.parametrize(
    ("line", "seen", "difference", "tolerated"),
    [
        ("< close", Seen("lost"), "", False),
        ("< close 1002", Seen("close", arguments=(1002, "")), "", False),
        ("< close 1002", Seen("close", arguments=(1008, "")), "the close code is 1008, not 1002", False),
        ("< close 1002", Seen("lost"), "the close code is None, not 1002", False),
        ("< close 1002 *", Seen("close", arguments=(1008, "")), "", True),
        ("< close 1002 *", Seen("lost"), "", True),
        ("< close 1002 *", EVENT, "event is not close", False),
    ],
)
def test_the_end_of_a_connection(line: str, seen: Seen, difference: str, tolerated: bool) -> None:
    found = match(step(line), seen, Bindings())
    assert (found.difference, found.tolerated) == (difference, tolerated)


def test_amounts_are_sent_as_text_and_numbers_as_numbers() -> None:
    line = "> PlaceBuyLimitOrder amount=1 price=0.00000001 client_order_id=@1 ttl=60 extra=1.5 flag=true name=x"
    assert payload(step(line), Bindings(10)) == (
        b'{"@type":"PlaceBuyLimitOrder","amount":"1","price":"0.00000001","client_order_id":11,"ttl":60,"extra":1.5,'
        b'"flag":true,"name":"x"}'
    )
    assert payload(step('> payload "{\\"a\\":1"'), Bindings()) == b'{"a":1'


def test_settings() -> None:
    assert settings(step("> CancelAllOrders [sequence 5] [wrong fill]"), Bindings()) == {"sequence": 5, "wrong fill": 0}


def test_raw_bytes() -> None:
    assert raw_bytes(step('> raw "00ff"'), Bindings()) == b"\x00\xff"
    assert raw_bytes(step("> raw zeros=3"), Bindings()) == bytes(3)
    with pytest.raises(cp.ConfigurationError, match="write bytes like 00ff"):
        raw_bytes(step('> raw "hello"'), Bindings())
