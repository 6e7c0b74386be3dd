"""Columns of decimals: exact, with their exponents."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.recording import columns
from cryptoproto.recording.columns import Decimals, Numbers, differences, packed, sums, unpacked

decimals = st.decimals(min_value=Decimal("1E-30"), max_value=Decimal("1E+30"), allow_nan=False, allow_infinity=False)


def through_bytes(numbers: Numbers) -> Numbers:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(numbers), type=Numbers)


@given(st.lists(decimals))
def test_decimals_come_back_with_their_exponents(numbers: list[Decimal]) -> None:
    assert list(map(str, unpacked(through_bytes(packed(numbers)), {}))) == list(map(str, numbers))


@given(st.lists(st.integers(1, 10**15)), st.integers(0, 12))
def test_decimals_with_one_exponent_come_back(numbers: list[int], places: int) -> None:
    column = [Decimal(number).scaleb(-places) for number in numbers]
    read = packed(column)
    assert isinstance(read.exponents, int)
    assert list(map(str, unpacked(through_bytes(read), {}))) == list(map(str, column))


def test_what_all_have_in_common_is_stored_once() -> None:
    assert packed([Decimal("0.01500000"), Decimal("0.02000000")]) == Numbers(-8, 500_000, [3, 4])


def test_numbers_of_several_exponents_are_kept_as_they_were_written() -> None:
    numbers = [Decimal("1.50"), Decimal("1E+2"), Decimal("0.125")]
    read = packed(numbers)
    assert read.exponents == [-2, 2, -3]
    assert list(map(str, unpacked(through_bytes(read), {}))) == ["1.50", "1E+2", "0.125"]


def test_numbers_beyond_64_bits_are_kept_as_text() -> None:
    numbers = [Decimal("1E+40"), Decimal("1E-40")]
    assert packed(numbers).texts == ["1E+40", "1E-40"]
    assert unpacked(packed(numbers), {}) == numbers


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(cp.DecodeError, match="NaN is not a finite number"):
        packed([Decimal("NaN")])


def test_decimals_are_made_once_and_not_without_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "_DECIMALS_KEPT", 2)
    made = Decimals(-2)
    assert made[150] is made[150]
    assert str(made[150]) == "1.50"
    for units in range(5):
        assert made[units] == Decimal(units) / 100
    assert len(made) <= 2


@given(st.lists(st.integers()))
def test_sums_undo_differences(numbers: list[int]) -> None:
    assert sums(differences(numbers)) == numbers


@pytest.mark.parametrize(
    "column",
    [
        Numbers([0, 2**60], 1, [1, 1]),  # a power of ten that would fill the memory
        Numbers([-(2**60), 0], 1, [1, 1]),
        Numbers([0, 1], 1, [1, 1]),  # not a multiple of ten
        Numbers([0, 0], 1, [1]),
        Numbers(2**60, 1, [1]),
        Numbers(texts=["1", "NaN"]),
        Numbers(texts=["sNaN"]),
        Numbers(texts=["one"]),
    ],
)
def test_columns_that_no_recorder_writes_are_refused(column: Numbers) -> None:
    with pytest.raises((cp.DecodeError, ArithmeticError, ValueError)):
        unpacked(through_bytes(column), {})
