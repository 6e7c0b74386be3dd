"""The rules of a pair: rounding is exact and never worse, checks name the nearest valid values."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import json
import pickle
import re
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.instruments import Instrument

D = Decimal
BTC = Instrument("BTC_USD", tick_size="0.01", lot_size="0.0001", min_amount="0.001", min_value="10")

UNITS = st.integers(1, 10**14)


def in_units(units: int) -> Decimal:
    return D(units).scaleb(-8, decimal.Context(prec=60))


NUMBERS = st.builds(
    lambda number, exponent: D((0, tuple(map(int, str(number))), exponent)),
    st.integers(1, 10**30),
    st.integers(-28, 6),
)
SIDES = st.sampled_from(["buy", "sell", "BUY", "Sell", cp.Side.BUY, cp.Side.SELL])
GRIDS = st.builds(
    lambda tick, lot: Instrument("BTC_USD", tick_size=in_units(tick), lot_size=in_units(lot)), UNITS, UNITS
)


def exactly() -> Any:
    return decimal.localcontext(decimal.Context(prec=300, traps=[decimal.Inexact, decimal.InvalidOperation]))


# Rounding


def test_the_example_of_the_docstring() -> None:
    assert str(BTC.round_price("100.037", "buy")) == "100.03"
    assert str(BTC.round_price("100.031", "sell")) == "100.04"
    assert str(BTC.round_amount("0.00039")) == "0.0003"
    assert str(BTC.round_price("100", "sell")) == "100.00"


@given(GRIDS, NUMBERS, SIDES)
def test_a_price_is_rounded_to_the_nearest_tick_that_is_not_worse(
    instrument: Instrument, price: Decimal, side: cp.Side | str
) -> None:
    buys = side in {"buy", "BUY", cp.Side.BUY}
    if buys and price < instrument.tick_size:
        with pytest.raises(cp.OrderInvalid, match=r"the lowest price is the tick size"):
            instrument.round_price(price, side)
        return
    rounded = instrument.round_price(price, side)
    with exactly():
        assert rounded % instrument.tick_size == 0, "on the grid"
        assert rounded <= price if buys else rounded >= price, "never worse"
        assert abs(rounded - price) < instrument.tick_size, "the nearest"
    assert instrument.round_price(rounded, side) == rounded, "idempotent"
    assert instrument.round_price(str(price), side) == rounded


@given(GRIDS, NUMBERS, NUMBERS)
def test_rounded_quotes_do_not_cross(instrument: Instrument, one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    if low >= instrument.tick_size:
        assert instrument.round_price(low, "buy") <= instrument.round_price(high, "sell")


@given(GRIDS, NUMBERS)
def test_an_amount_is_rounded_down_to_whole_lots(instrument: Instrument, amount: Decimal) -> None:
    rounded = instrument.round_amount(amount)
    with exactly():
        assert rounded % instrument.lot_size == 0
        assert 0 <= amount - rounded < instrument.lot_size
    assert instrument.round_amount(rounded) == rounded


@pytest.mark.parametrize("amount", [0, "0", "0.0", D("0E-8"), "0.00009"])
def test_less_than_a_lot_is_nothing(amount: Any) -> None:
    assert BTC.round_amount(amount) == 0


@pytest.mark.parametrize("value", [0.1, True, None, "x", "-1", "NaN", "1E+80"])
def test_what_cannot_be_rounded(value: Any) -> None:
    with pytest.raises(cp.OrderInvalid, match=r"^price"):
        BTC.round_price(value, "buy")
    with pytest.raises(cp.OrderInvalid, match=r"^amount"):
        BTC.round_amount(value)


def test_a_side_is_buy_or_sell() -> None:
    with pytest.raises(cp.OrderInvalid, match=r'side=\'up\' must be "buy" or "sell"'):
        BTC.round_price("1", "up")
    with pytest.raises(cp.OrderInvalid, match=r'side=\'up\' must be "buy" or "sell"'):
        BTC.check("up", "1", "100")
    with pytest.raises(cp.OrderInvalid, match=r"time_in_force='day' must be"):
        BTC.check("buy", "1", "100", time_in_force="day")


# Ticks


@given(GRIDS, st.integers(1, 10**9), st.integers(-(10**9), 10**9))
def test_prices_are_counted_and_moved_in_ticks(instrument: Instrument, ticks: int, by: int) -> None:
    with exactly():
        price = instrument.tick_size * ticks
    if ticks + by <= 0:
        with pytest.raises(cp.OrderInvalid, match=r"must be a finite number greater than zero"):
            instrument.move_price(price, by)
        return
    moved = instrument.move_price(price, by)
    assert instrument.price_steps(price, moved) == by
    assert instrument.price_steps(moved, price) == -by


def test_steps_are_between_valid_prices() -> None:
    assert BTC.price_steps("100.03", "100.05") == 2
    with pytest.raises(cp.OrderInvalid, match=r"the nearest valid values are 100.03 and 100.04"):
        BTC.price_steps("100.037", "100.05")
    with pytest.raises(cp.OrderInvalid, match=r"the nearest valid values are 100.03 and 100.04"):
        BTC.move_price("100.037", 1)


def test_ticks_are_whole() -> None:
    with pytest.raises(cp.OrderInvalid, match=r"ticks=0.5 must be a whole number, not float"):
        BTC.move_price("100", 0.5)  # type: ignore[arg-type]


# Checks


@pytest.mark.parametrize(
    ("amount", "price", "words"),
    [
        ("1", "100.037", "price=100.037 is not a multiple of the tick size 0.01 of BTC_USD"),
        ("1", "100.037", "; the nearest valid values are 100.03 and 100.04"),
        ("1", "0.001", "price=0.001 is not a multiple of the tick size 0.01 of BTC_USD; use 0.01 or more"),
        ("0.12345", "100", "amount=0.12345 is not a multiple of the lot size 0.0001 of BTC_USD"),
        ("0.12345", "100", "; the nearest valid values are 0.1234 and 0.1235"),
        ("0.0009", "100000", "amount=0.0009 is less than the minimum of BTC_USD, 0.001; use 0.001 or more"),
        ("101", "100", "amount=101 is more than the maximum of BTC_USD, 100.00005; use 100 or less"),
        ("0.05", "199", "amount=0.05 at price=199 is worth 9.95 USD, less than the minimum of BTC_USD, 10 USD"),
        ("0.05", "199", "; at this price, use an amount of 0.0503 or more"),
        ("0.05", "0.01", "; no valid amount is worth more at this price; use a higher price"),
        ("60", "20000", "is worth 1200000 USD, more than the maximum of BTC_USD, 1000000 USD"),
        ("60", "20000", "; at this price, use an amount of 50 or less"),
        ("0.001", "2000000000", "; no valid amount is worth less at this price; use a lower price"),
    ],
)
def test_a_refusal_names_the_nearest_valid_values(amount: str, price: str, words: str) -> None:
    instrument = Instrument(
        "BTC_USD", tick_size="0.01", lot_size="0.0001", min_amount="0.001", min_value="10", max_amount="100.00005",
        max_value="1000000",
    )  # fmt: skip
    for side in ("buy", cp.Side.SELL):
        with pytest.raises(cp.OrderInvalid, match=re.escape(words)) as caught:
            instrument.check(side, amount, price)
        assert caught.value.sent is False


def test_a_sell_order_that_never_rests_may_have_any_limit() -> None:
    for time_in_force in ("ioc", cp.TimeInForce.FOK):
        BTC.check("sell", "0.05", "0.01", time_in_force=time_in_force)
        with pytest.raises(cp.OrderInvalid, match="less than the minimum"):
            BTC.check("buy", "0.05", "0.01", time_in_force=time_in_force)


RULES = st.fixed_dictionaries(
    {
        "tick_size": st.integers(1, 300),
        "lot_size": st.integers(1, 300),
        "min_amount": st.integers(1, 2000),
        "min_value": st.integers(1, 50),
        "max_amount": st.none() | st.integers(3000, 10_000),
        "max_value": st.none() | st.integers(50, 2000),
    }
)


@given(
    RULES,
    st.integers(1, 12_000),
    st.integers(1, 10**8).map(lambda units: units * 10**3),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from(["gtc", "ioc", "fok"]),
)
def test_a_check_agrees_with_a_naive_one(
    rules: dict[str, int | None],
    amount: int,
    price: int,
    side: Literal["buy", "sell"],
    time_in_force: Literal["gtc", "ioc", "fok"],
) -> None:
    """In whole units of 0.00000001; the price is in thousands of them."""
    values = {name: None if units is None else in_units(units) for name, units in rules.items()}
    values["tick_size"] = in_units((rules["tick_size"] or 0) * 10**3)
    instrument = Instrument("BTC_USD", **values)  # type: ignore[arg-type]
    value = amount * price
    valid = (
        price % ((rules["tick_size"] or 0) * 1000) == 0
        and amount % (rules["lot_size"] or 0) == 0
        and amount >= (rules["min_amount"] or 0)
        and (rules["max_amount"] is None or amount <= rules["max_amount"])
        and (value >= (rules["min_value"] or 0) * 10**8 or (side == "sell" and time_in_force != "gtc"))
        and (rules["max_value"] is None or value <= rules["max_value"] * 10**8)
    )
    try:
        instrument.check(side, in_units(amount), in_units(price), time_in_force=time_in_force)
    except cp.OrderInvalid:
        assert not valid
    else:
        assert valid


@given(GRIDS, NUMBERS, NUMBERS, SIDES)
def test_what_was_rounded_passes_the_check(
    instrument: Instrument, amount: Decimal, price: Decimal, side: cp.Side | str
) -> None:
    if amount < instrument.lot_size or price < instrument.tick_size:
        return
    rounded_amount, rounded_price = instrument.round_amount(amount), instrument.round_price(price, side)
    with exactly():
        if rounded_amount * rounded_price >= instrument.min_value:
            instrument.check(side, rounded_amount, rounded_price)


# Rules that cannot be used


@pytest.mark.parametrize("name", ["tick_size", "lot_size", "min_amount", "min_value", "max_amount", "max_value"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.01, r'is a float, .*; pass a string or a Decimal: BTC_USD: \w+="0.01"'),
        ("0", "must be a finite number greater than zero"),
        ("-0.01", "must be a finite number greater than zero"),
        ("NaN", "must be a finite number greater than zero"),
        ("0.000000001", "has more than 8 decimals"),
        ("1E+70", "is too large"),
        ("a cent", "is not a decimal number"),
        (True, "must be a Decimal, a string or an int, not bool"),
        ([], "must be a Decimal, a string or an int, not list"),
    ],
)
def test_a_rule_that_cannot_be_used_is_named(name: str, value: Any, words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=rf"BTC_USD: {name}.*{words}"):
        Instrument("BTC_USD", **{name: value})


def test_rules_must_not_contradict_each_other() -> None:
    with pytest.raises(
        cp.ConfigurationError,
        match=r"BTC_USD: no amount is valid: the smallest multiple of lot_size=0.02 from min_amount=0.03 on is 0.04, "
        r"and max_amount=0.035",
    ):
        Instrument("BTC_USD", lot_size="0.02", min_amount="0.03", max_amount="0.035")
    with pytest.raises(cp.ConfigurationError, match=r"BTC_USD: max_value=5 is less than min_value=10"):
        Instrument("BTC_USD", min_value=10, max_value=5)


def test_a_pair_names_two_currencies() -> None:
    with pytest.raises(cp.ConfigurationError, match="must name two currencies"):
        Instrument("BTCUSD")


# As a value


def test_defaults_are_those_of_the_protocol() -> None:
    instrument = Instrument("BTC_USD")
    assert instrument.tick_size == instrument.lot_size == instrument.min_amount == instrument.min_value == D("1E-8")
    assert instrument.max_amount is None
    assert instrument.max_value is None


def test_equal_rules_are_equal_however_they_are_written() -> None:
    one = Instrument("BTC_USD", tick_size="0.010", lot_size="1E+1")
    other = Instrument("BTC_USD", tick_size=D("0.01"), lot_size=10)
    assert one == other
    assert hash(one) == hash(other)
    assert str(one.round_price("100", "buy")) == "100.00"
    assert one != BTC
    assert len({one, other, BTC}) == 2


def test_an_instrument_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BTC.tick_size = D(1)  # type: ignore[misc]


def test_an_instrument_can_be_copied_and_pickled() -> None:
    assert copy.deepcopy(BTC) == BTC
    assert pickle.loads(pickle.dumps(BTC)) == BTC


def test_as_a_dict_and_back() -> None:
    values = BTC.as_dict()
    assert values == {
        "trade_pair": "BTC_USD",
        "tick_size": "0.01",
        "lot_size": "0.0001",
        "min_amount": "0.001",
        "max_amount": None,
        "min_value": "10",
        "max_value": None,
    }
    assert Instrument.from_dict(json.loads(json.dumps(values))) == BTC
    assert Instrument.from_dict({"trade_pair": "BTC_USD"}) == Instrument("BTC_USD")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tick_size": "1"}, r'an instrument needs a trade_pair, like "BTC_USD"; given are tick_size'),
        ({}, r"given are none"),
        (
            {"trade_pair": "BTC_USD", "tick": "1"},
            r"'BTC_USD': unknown tick; it can have tick_size, lot_size",
        ),
        ({"trade_pair": "BTC_USD", "tick_size": 0.01}, r"BTC_USD: tick_size=0.01 is a float"),
        ("BTC_USD", r"an instrument must be a mapping of its rules, not str"),
    ],
)
def test_a_dict_that_is_no_instrument(values: Any, words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        Instrument.from_dict(values)


def test_the_repr_can_be_typed() -> None:
    assert repr(BTC) == (
        "Instrument('BTC_USD', tick_size='0.01', lot_size='0.0001', min_amount='0.001', min_value='10')"
    )
    assert eval(repr(BTC), {"Instrument": Instrument}) == BTC
