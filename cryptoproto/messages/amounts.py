"""Exact amounts and prices: which values are accepted, which are rejected, and how they are written.

Everything is :class:`decimal.Decimal`; no global decimal context is read or changed.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Final

from ..exceptions import ConfigurationError

__all__ = ["DECIMALS", "EXACT", "UNIT", "AmountLike", "as_short", "check_decimals", "exact", "plain"]

if TYPE_CHECKING:
    AmountLike = Decimal | str | int
    """What a caller may pass for an amount or a price. Messages keep it as a Decimal."""
else:
    AmountLike = Decimal

DECIMALS: Final = 8
"""How many decimals an amount or a price may have: exchanges count in units of 0.00000001."""

EXACT: Final = Context(prec=200, traps=[])
"""For sums and products of amounts: exact for everything an exchange sends, independent of the global context."""

_ZERO: Final = Decimal(0)
UNIT: Final = Decimal("0.00000001")
"""The smallest amount or price."""
# 80 digits: far beyond any amount, and enough for 71 digits before the decimal point.
_EXACT: Final = Context(prec=80, Emin=-999_999, Emax=999_999, traps=[InvalidOperation, Inexact])
_quantize: Final = _EXACT.quantize  # raises an ArithmeticError unless the result is exact
# With this precision and range, the last digit that a number can have is the eighth decimal.
as_short: Final = Context(prec=DECIMALS + 1, Emin=0, Emax=DECIMALS, traps=[]).plus
"""The number itself if it has at most nine digits and none after the eighth decimal; otherwise another number."""
# Written in plain digits, 1E+999999999 would be a gigabyte of zeroes.
_MAX_EXPONENT: Final = 1000
_SHOWN: Final = 40


def exact(value: AmountLike, name: str, error: type[ConfigurationError] = ConfigurationError) -> Decimal:
    """*value* as a positive, finite Decimal.

    Args:
        value: the amount or price.
        name: what to call it in an error.
        error: the class of the error to raise.

    Raises:
        ConfigurationError: the value is a float (0.1 has no exact binary form), not a number, or not greater than zero.
    """
    if type(value) is Decimal:
        number = value
    else:
        if type(value) is not str and type(value) is not int:
            _check_type(value, name, error)
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise error(f'{name}={_shown(value)!r} is not a decimal number; write it like "1.5"') from None
    if not number.is_finite() or number <= _ZERO:
        raise error(f"{name}={_shown(number)} must be a finite number greater than zero")
    return number


def _check_type(value: object, name: str, error: type[ConfigurationError]) -> None:
    if isinstance(value, float):
        stands_for = Decimal.from_float(value)  # noqa: FURB164  (the constructor signals FloatOperation)
        raise error(
            f"{name}={value!r} is a float, whose exact value is {stands_for:f}; "
            f'pass a string or a Decimal: {name}="{value!r}"'
        )
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise error(f"{name} must be a Decimal, a string or an int, not {type(value).__name__}")


def check_decimals(amount: Decimal, price: Decimal, error: type[ConfigurationError]) -> None:
    """Reject an amount or a price that an exchange cannot represent. Zeroes after the eighth decimal are allowed.

    Raises:
        ConfigurationError: one of them has more than eight decimals, or is far too large.
    """
    name, value = "amount", amount
    try:
        _quantize(amount, UNIT)
        name, value = "price", price
        _quantize(price, UNIT)
    except Inexact:
        raise error(
            f"{name}={_shown(value)} has more than {DECIMALS} decimals; round it first, "
            f'for example with {name}.quantize(Decimal("{UNIT:f}"))'
        ) from None
    except InvalidOperation:
        raise error(f"{name}={_shown(value)} is too large") from None


def plain(value: Decimal) -> str:
    """*value* in plain digits: ``str()`` would write 0.00000001 as ``1E-8``.

    Raises:
        ConfigurationError: its exponent alone would add more than a thousand zeroes.
    """
    text = str(value)
    if "E" not in text:
        return text
    if not -_MAX_EXPONENT <= int(text.partition("E")[2]) <= _MAX_EXPONENT:
        raise ConfigurationError(f"{text} is too large or too small to be written in plain digits")
    return f"{value:f}"


def _shown(value: object) -> str:
    # A number may have a million digits; its error message must not.
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
