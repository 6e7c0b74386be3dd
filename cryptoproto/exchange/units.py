"""Exact conversion between the Decimals of messages and the integers of 1e-8 that the engine counts in.

Both directions work in a context of their own: no global decimal context is read or changed, and nothing is ever
rounded on the way.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Final

from ..exceptions import ConfigurationError, CryptoprotoError
from ..messages import AmountLike

__all__ = ["MAX_UNITS", "UNIT", "Refusal", "as_decimal", "from_units", "to_units"]

UNIT: Final = 10**8
"""How many units make one: amounts, prices and balances have eight decimals."""

MAX_UNITS: Final = 10**18 * UNIT
"""The largest amount, price or order value: 26 digits, which still fit the 28 of Python's default decimal context,
so that a client who calculates with them there stays exact."""

_STEP: Final = Decimal("0.00000001")
_EIGHT: Final = Decimal(8)
# 80 digits: a balance would have to take in 10**54 of the largest deposits to reach the end of them. The narrow range
# of exponents stops numbers like 1E+999999999 before they are written out.
_EXACT: Final = Context(prec=80, Emin=-79, Emax=79, traps=[InvalidOperation, Overflow, Inexact])
_scale: Final = _EXACT.scaleb
_multiply: Final = _EXACT.multiply
_whole: Final = _EXACT.to_integral_exact
_SHOWN: Final = 40
# Prices, amounts and fees come again and again; making a Decimal takes longer than finding it.
_REMEMBERED: Final = 4096


class Refusal(CryptoprotoError):
    """A command cannot be carried out and has changed nothing. Inside the engine only: it becomes ``Refused``."""

    def __init__(self, error_type: int, text: str) -> None:
        super().__init__(error_type, text)
        self.error_type = error_type
        self.text = text


def as_decimal(value: AmountLike, name: str) -> Decimal:
    """*value* as a Decimal; *name* is the word for it in an error.

    Whether the number will do is not looked at: one from a journal and one from a caller meet the same rule later.

    Raises:
        ConfigurationError: it is a float or no number.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise ConfigurationError(f"{name}={value!r} must be a Decimal, a string or an int, not {type(value).__name__}")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ConfigurationError(f'{name}={value!r} is no decimal number; write it like "1.5"') from None


def to_units(value: AmountLike, name: str, *, zero: bool = False) -> int:
    """*value* in units of 1e-8; *name* is the word for it in an error, *zero* whether it may be zero.

    Decimals behind the eighth may be there as long as they are zeroes.

    Raises:
        Refusal: it is not positive, not finite, greater than 10**18, or finer than eight decimals.
    """
    if not isinstance(value, Decimal):
        value = as_decimal(value, name)
    if not value.is_finite():
        raise Refusal(2, f"{name}={value} is no finite number")
    try:
        units = int(_whole(_scale(value, _EIGHT)))
    except Overflow:
        units = MAX_UNITS + 1 if value > 0 else -1
    except Inexact:
        raise Refusal(2, f"{name}={_shown(value)} has more than 8 decimals") from None
    if units > MAX_UNITS:
        raise Refusal(2, f"{name}={_shown(value)} is too large: the most is 10**18")
    if units < 0 or not (units or zero):
        raise Refusal(2, f"{name}={_shown(value)} must be {'zero or more' if zero else 'greater than zero'}")
    return units


@lru_cache(_REMEMBERED)
def from_units(units: int) -> Decimal:
    """*units* of 1e-8 as a Decimal with exactly eight decimals."""
    return _multiply(units, _STEP)


def _shown(value: Decimal) -> str:
    # A payload may hold a number of a million digits; the error need not.
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
