"""The parts below the engine: conversion, the price ladder, snapshots; and that work does not grow with the book."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable
from decimal import ROUND_UP, Decimal, Inexact, getcontext, localcontext
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.exchange.commands import Command, Submit
from cryptoproto.exchange.engine import Engine
from cryptoproto.exchange.ladder import Ladder
from cryptoproto.exchange.units import MAX_UNITS, Refusal, from_units, to_units
from cryptoproto.messages import CancelOrder
from tests.support.venue import Venue, fills


@given(st.integers(1, MAX_UNITS))
def test_units_survive_the_way_out_and_in(units: int) -> None:
    value = from_units(units)
    assert value.as_tuple().exponent == -8
    assert value == Decimal(units) / 10**8
    assert to_units(value, "amount") == units
    assert to_units(Decimal(f"{value:f}000"), "amount") == units


def test_the_global_decimal_context_plays_no_part() -> None:
    with localcontext() as context:
        context.prec = 3
        context.rounding = ROUND_UP
        context.traps[Inexact] = True
        context.clear_flags()
        assert to_units(Decimal("12345.12345678"), "amount") == 1234512345678
        assert str(from_units(1234512345678)) == "12345.12345678"
        assert not any(getcontext().flags.values())


@pytest.mark.parametrize("text", ["nan", "snan", "inf", "-inf"])
def test_only_finite_numbers_are_amounts(text: str) -> None:
    with pytest.raises(Refusal, match="no finite number"):
        to_units(Decimal(text), "amount")


@settings(max_examples=25)
@given(st.lists(st.integers(-3000, 3000), max_size=40), st.integers().map(random.Random))
def test_the_ladder_is_a_sorted_set(keys: list[int], choice: random.Random) -> None:
    ladder, model = Ladder(), set[int]()
    for key in keys:
        # runs of neighbours, so that it is long enough to be split
        for near in range(key, key + 200):
            if near not in model:
                ladder.add(near)
                model.add(near)
    assert list(ladder) == sorted(model)
    leaving = sorted(model)
    choice.shuffle(leaving)
    for key in leaving[: len(leaving) * 2 // 3]:
        ladder.remove(key)
        model.remove(key)
        if key % 50 == 0:
            assert ladder.lowest == min(model)
    assert list(ladder) == sorted(model)


def test_an_empty_ladder_starts_again() -> None:
    ladder = Ladder()
    assert ladder.lowest is None
    ladder.add(5)
    ladder.remove(5)
    assert ladder.lowest is None
    ladder.add(7)
    assert list(ladder) == [7]


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b'{"version": "1"}', b'{"version":1}'])
def test_rubbish_is_no_snapshot(raw: bytes) -> None:
    with pytest.raises(cp.DecodeError, match="this is no snapshot of an exchange"):
        Engine.restore(raw)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b'[1,"alice","BTC_USD"', b'[1,"carol","BTC_USD"'),
        (b'[1,"alice","BTC_USD"', b'[1,"alice","BTC_JPY"'),
        (b'{"USD":', b'{"EUR":'),
        (b'"maker_fee":0', b'"maker_fee":100000000'),
        (b'"BTC_EUR"]', b'"BTC_USD"]'),
    ],
)
def test_a_damaged_snapshot_is_refused(part: bytes, other: bytes) -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100")
    raw = venue.engine.snapshot()
    assert part in raw
    with pytest.raises(cp.DecodeError, match="the snapshot contradicts itself"):
        Engine.restore(raw.replace(part, other))


def test_a_snapshot_of_another_version_is_refused() -> None:
    raw = Engine().snapshot().replace(b'"version":1', b'"version":2')
    with pytest.raises(cp.DecodeError, match="has version 2, this is for version 1"):
        Engine.restore(raw)


def test_a_snapshot_keeps_the_rules_of_its_exchange() -> None:
    venue = Venue(trade_pairs=["BTC_USD", "X_Y"], maker_fee=Decimal("0.001"), taker_fee=Decimal("0.002"))
    venue.disable("X_Y")
    venue.order("alice", "buy", "1", "100", client_order_id=3)
    venue.engine = Engine.restore(venue.engine.snapshot())
    assert venue.engine.trade_pairs == ("BTC_USD", "X_Y")
    assert venue.engine.disabled_pairs == ("X_Y",)
    assert fills(venue.order("bob", "sell", "1", "100")) == [(1, "1", "100")]
    assert venue.engine.collected_fees == {"BTC": Decimal("0.001"), "USD": Decimal("0.2")}


def test_commands_name_themselves() -> None:
    raw = msgspec.json.encode(Submit("alice", CancelOrder(7), 5))
    assert raw == b'{"command":"Submit","client_id":"alice","message":{"@type":"CancelOrder","order_id":7},"time_us":5}'
    command: Any = msgspec.json.decode(raw, type=Command)
    assert command == Submit("alice", CancelOrder(7), 5)


def calls(work: Callable[[], object]) -> int:
    """How many functions *work* calls: a measure of time that no other process can disturb."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    from_units.cache_clear()
    before = sys.getprofile()
    gc.disable()  # hypothesis has the collector call a function of its own
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def work(size: int, *, one_level: bool) -> list[int]:
    """What each kind of message costs in a book of *size* orders."""
    venue = Venue(balances={"alice": {"USD": "1e12"}, "bob": {"BTC": "1e6", "USD": "1e6"}})
    for index in range(size):
        venue.order("alice", "buy", "1", "100" if one_level else f"{100 + index / 10000:.4f}")
    return [
        calls(lambda: venue.cancel("alice", size // 2)),
        calls(lambda: venue.order("alice", "buy", "1", "100.0005")),
        calls(lambda: venue.order("alice", "buy", "1", "99")),
        calls(lambda: venue.order("bob", "sell", "0.5", "100")),
        calls(lambda: venue.order("bob", "sell", "2", "100")),
        calls(lambda: venue.order("bob", "sell", "1", "100", "fok")),
        calls(lambda: venue.order("bob", "buy", "1", "1", ttl=60)),
        calls(lambda: venue.cancel_all("bob")),
    ]


@pytest.mark.parametrize("one_level", [True, False])
def test_work_does_not_grow_with_the_book(one_level: bool) -> None:
    assert work(10, one_level=one_level) == work(3000, one_level=one_level)


def test_cancelled_orders_leave_nothing_behind() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", ttl=86_400)
    size = len(venue.engine.snapshot())
    for index in range(2000):
        venue.order("bob", "sell", "1", str(200 + index), ttl=86_400)
        venue.cancel("bob", index + 2)
    assert len(venue.engine.snapshot()) <= size + 3  # the newest order's id has three more digits
    matching = venue.engine._matching
    assert len(matching._expiries) < 100
    book = matching.books["BTC_USD"]
    assert len(book.sells._levels) == 0
    assert list(book.sells._keys) == []
