"""Multiples of a step: exact, whatever the global decimal context is."""

from __future__ import annotations

import decimal
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.instruments.grid import above, below, bounded, is_multiple, shown, steps

D = Decimal
STEPS = st.integers(1, 10**12).map(lambda units: D(units).scaleb(-8, decimal.Context(prec=60)))
VALUES = st.builds(
    lambda number, exponent: D((0, tuple(map(int, str(number))), exponent)),
    st.integers(1, 10**40),
    st.integers(-30, 15),
)


@given(VALUES, STEPS)
def test_below_and_above_enclose_a_value(value: Decimal, step: Decimal) -> None:
    with decimal.localcontext(decimal.Context(prec=3)):  # the caller's context must not matter
        lower, upper = below(value, step), above(value, step)
        on_grid = is_multiple(value, step)
    with decimal.localcontext(decimal.Context(prec=300, traps=[decimal.Inexact])):
        assert lower <= value <= upper
        assert value - lower < step
        assert upper - value < step
        assert lower % step == 0
        assert upper % step == 0
        assert on_grid == (lower == upper == value)
        assert steps(upper - lower, step) == (0 if on_grid else 1)


@pytest.mark.parametrize(
    ("value", "zero", "number"),
    [("0", True, 0), (0, True, 0), (D("0.000"), True, 0), ("1.50", True, D("1.5")), (2, False, 2)],
)  # fmt: skip
def test_what_can_be_calculated_with(value: str | int | Decimal, zero: bool, number: object) -> None:
    assert bounded(value, "amount", zero=zero) == number


@pytest.mark.parametrize(
    "value", [0.1, True, None, "x", "NaN", D("sNaN"), "-1", "1E+60", "1E+999999999", "Infinity", []]
)
@pytest.mark.parametrize("zero", [True, False])
def test_what_cannot_be_calculated_with(value: object, zero: bool) -> None:
    with pytest.raises(cp.OrderInvalid, match=r"^amount") as caught:
        bounded(value, "amount", zero=zero)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200


def test_zero_is_accepted_only_if_it_is_asked_for() -> None:
    with pytest.raises(cp.ConfigurationError, match=r"amount=0 must be a finite number greater than zero"):
        bounded("0", "amount", cp.ConfigurationError)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (D("1.5000"), "1.5"),
        (D("1E+2"), "100"),
        (D("100"), "100"),
        (D("1E-8"), "0.00000001"),
        (D("0.000"), "0"),
        (D("1E-900000"), "1.000E-900000"),
        (D("1." + "1" * 100), "1." + "1" * 38 + "…"),
    ],
)
def test_numbers_in_errors_are_plain_and_short(value: Decimal, text: str) -> None:
    assert shown(value) == text
