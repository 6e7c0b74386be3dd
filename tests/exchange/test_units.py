"""Exact conversion between decimals and units of 1e-8."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal, Inexact, getcontext, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptoproto.exceptions import ConfigurationError
from cryptoproto.exchange.units import MAX_UNITS, Refusal, from_units, to_units


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


@pytest.mark.parametrize("value", ["1.5", 15 * 10**7])
def test_texts_and_whole_numbers_are_amounts(value: str | int) -> None:
    assert to_units(value, "amount") == int(Decimal(value) * 10**8)


@pytest.mark.parametrize(("value", "words"), [(1.5, "must be a Decimal"), ("one", "is not a decimal number")])
def test_other_types_and_texts_are_no_amounts(value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        to_units(value, "amount")


@pytest.mark.parametrize("text", ["nan", "snan", "inf", "-inf"])
def test_only_finite_numbers_are_amounts(text: str) -> None:
    with pytest.raises(Refusal, match="not a finite number"):
        to_units(Decimal(text), "amount")
