"""Exact amounts and prices: what is accepted, what is refused, and how it is written.

Everything is :class:`decimal.Decimal`; no global decimal context is read or changed.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from ..exceptions import ConfigurationError

__all__ = ["AmountLike", "exact", "plain"]

if TYPE_CHECKING:
    AmountLike = Decimal | str | int
    """What a caller may pass for an amount or a price. Messages keep it as a Decimal."""
else:
    AmountLike = Decimal

# Far beyond any amount. Written in plain digits, 1E+999999999 would be a gigabyte of zeroes.
_MAX_EXPONENT: Final = 1000


def exact(value: AmountLike, name: str) -> Decimal:
    """*value* as a positive, finite Decimal; *name* is the word for it in an error.

    Raises:
        ConfigurationError: it is a float (which cannot say 0.1), no number, or not greater than zero.
    """
    if isinstance(value, float):
        stands_for = Decimal.from_float(value)  # noqa: FURB164  (the constructor signals FloatOperation)
        raise ConfigurationError(
            f"{name}={value!r} is a float, which stands for {stands_for:f} here; "
            f'write a string or a Decimal: {name}="{value!r}"'
        )
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise ConfigurationError(f"{name} must be a Decimal, a string or an int, not {type(value).__name__}")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ConfigurationError(f'{name}={value!r} is no decimal number; write it like "1.5"') from None
    if not number.is_finite() or number <= 0:
        raise ConfigurationError(f"{name}={value} must be a finite number greater than zero")
    return number


def plain(value: Decimal) -> str:
    """*value* in plain digits: ``str()`` would write 0.00000001 as ``1E-8``.

    Raises:
        ConfigurationError: its exponent alone makes for more than a thousand zeroes.
    """
    text = str(value)
    if "E" not in text:
        return text
    if not -_MAX_EXPONENT <= int(text.partition("E")[2]) <= _MAX_EXPONENT:
        raise ConfigurationError(f"{text} is too large or too small to be written in plain digits")
    return f"{value:f}"
