"""Columns of exact decimals as small integers: what makes a recorded update a few bytes long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from itertools import accumulate
from operator import sub
from typing import Final

import msgspec

from ..exceptions import DecodeError

__all__ = ["Decimals", "Numbers", "differences", "packed", "sums", "unpacked"]

_LARGEST: Final = 2**63 - 1
_DECIMALS_KEPT: Final = 100_000
# 200 digits: prices and volumes of a feed lie between 1E-60 and 1E+60.
_EXACT: Final = Context(prec=200, Emin=-999_999, Emax=999_999, traps=[InvalidOperation, Inexact])
_scale: Final = _EXACT.scaleb
_quantize: Final = _EXACT.quantize


class Numbers(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A column of decimals.

    Attributes:
        exponents: the exponent of all values, or that of each.
        step: what all values are multiples of, in units of the lowest exponent.
        values: the values in steps.
        texts: the values as text, instead of *values*, if one of them does not fit into 64 bits.
    """

    exponents: int | list[int] = 0
    step: int = 1
    values: list[int] = []
    texts: list[str] = []


class Decimals(dict[int, Decimal]):
    """The decimals with one exponent by their units. Prices and volumes repeat, so most are made once."""

    __slots__ = ("_exponent",)

    def __init__(self, exponent: int) -> None:
        super().__init__()
        self._exponent = exponent

    def __missing__(self, units: int) -> Decimal:
        if len(self) >= _DECIMALS_KEPT:
            self.clear()
        made = self[units] = _scale(Decimal(units), self._exponent)
        return made


def packed(numbers: Sequence[Decimal]) -> Numbers:
    """The column of *numbers*, which must be finite. Their exponents are kept: 1.50 does not become 1.5."""
    if not numbers:
        return Numbers()
    first = numbers[0]
    exponents: int | list[int]
    if all(map(first.same_quantum, numbers)):
        lowest = exponents = _exponent(first)
    else:
        exponents = [_exponent(number) for number in numbers]
        lowest = min(exponents)
    units = [int(_scale(number, -lowest)) for number in numbers]
    step = math.gcd(*units) or 1
    values = [unit // step for unit in units]
    if step > _LARGEST or max(values) > _LARGEST:
        return Numbers(texts=[str(number) for number in numbers])
    return Numbers(exponents, step, values)


def unpacked(column: Numbers, known: dict[int, Decimals]) -> list[Decimal]:
    """The decimals of *column*; *known* holds those that were made before, by exponent.

    Raises:
        DecodeError, ArithmeticError, ValueError: no recorder writes such a column.
    """
    if column.texts:
        return [_finite(Decimal(text)) for text in column.texts]
    step = column.step
    units = column.values if step == 1 else [value * step for value in column.values]
    if isinstance(column.exponents, int):
        made = known.get(column.exponents)
        if made is None:
            made = known[column.exponents] = Decimals(column.exponents)
        return list(map(made.__getitem__, units))
    lowest = min(column.exponents)
    # Not by a power of ten as an int: a damaged exponent would make one of gigabytes.
    return [
        _quantize(_scale(Decimal(unit), lowest), Decimal((0, (1,), exponent)))
        for unit, exponent in zip(units, column.exponents, strict=True)
    ]


def differences(numbers: Sequence[int]) -> list[int]:
    """The first number, and then what is added to each to get the next."""
    return [*numbers[:1], *map(sub, numbers[1:], numbers)]


def sums(numbers: Iterable[int]) -> list[int]:
    """The inverse of :func:`differences`."""
    return list(accumulate(numbers))


def _exponent(number: Decimal) -> int:
    exponent = _finite(number).as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _finite(number: Decimal) -> Decimal:
    if not number.is_finite():
        raise DecodeError(f"{number} is not a finite number")
    return number
