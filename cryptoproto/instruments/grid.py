"""Multiples of a step, exact in Decimal: the grid on which the prices and amounts of a pair lie."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation
from typing import Final

from ..exceptions import ConfigurationError, OrderInvalid
from ..messages import AmountLike, exact, plain

__all__ = ["EXACT", "above", "below", "bounded", "is_multiple", "shown", "steps"]

# 200 digits hold every product of two bounded numbers.
EXACT: Final = Context(
    prec=200, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=[InvalidOperation, DivisionByZero]
)
"""For sums and products of prices and amounts; the global context is neither read nor changed."""

_BOUND: Final = Decimal("1E+60")
"""Far beyond every price and amount; without a bound, 1E+999999999 would be calculated with."""
_ZERO: Final = Decimal(0)
_SHOWN: Final = 40


def bounded(
    value: AmountLike, name: str, error: type[ConfigurationError] = OrderInvalid, *, zero: bool = False
) -> Decimal:
    """*value* as a positive Decimal of a size that can be calculated with; *name* names it in an error.

    Args:
        value: the amount or price.
        name: what to call it in an error.
        error: the class of the error to raise.
        zero: whether zero is accepted, too.

    Raises:
        ConfigurationError: it is a float, not a number, not greater than zero, or far too large.
    """
    if zero and _is_zero(value):
        return _ZERO
    number = exact(value, name, error)
    if number >= _BOUND:
        raise error(f"{name}={number!s:.{_SHOWN}} is too large")
    return number


def _is_zero(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        return False
    try:
        return Decimal(value) == _ZERO
    except InvalidOperation:  # not a number, which the caller reports
        return False


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether *value* is a whole number of *step*."""
    return not EXACT.remainder(value, step)


def below(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of *step* that is not greater than *value*."""
    return EXACT.multiply(EXACT.divide_int(value, step), step)


def above(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of *step* that is not less than *value*."""
    floor = below(value, step)
    return floor if floor == value else EXACT.add(floor, step)


def steps(difference: Decimal, step: Decimal) -> int:
    """How many times *step* fits into *difference*, which is a multiple of it."""
    return int(EXACT.divide_int(difference, step))


def shown(value: Decimal) -> str:
    """*value* in plain digits without trailing zeroes, cut if it is very long: for errors."""
    if value.adjusted() < -_SHOWN:
        return f"{value:.3E}"
    text = plain(value)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
