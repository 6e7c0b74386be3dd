"""Exact conversion between the Decimals of messages and the engine's integers, in units of 1e-8.

Both directions use their own decimal context: the global context is neither read nor changed, and nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache, partial
from typing import Final

from ..exceptions import ConfigurationError, CryptoprotoError
from ..messages import AmountLike

__all__ = ["MAX_UNITS", "UNIT", "Refusal", "as_decimal", "exact", "from_units", "to_units"]

UNIT: Final = 10**8
"""Units in one: amounts, prices and balances have eight decimals."""

MAX_UNITS: Final = 10**18 * UNIT
"""The largest amount, price or order value: 26 digits. They fit the 28 of Python's default decimal context, so
calculations with them stay exact."""

_STEP: Final = Decimal("0.00000001")
_EIGHT: Final = Decimal(8)
# 80 digits hold the sum of 10**54 of the largest deposits. The narrow range of exponents rejects numbers like
# 1E+999999999 before they are written out.
_EXACT: Final = Context(prec=80, Emin=-79, Emax=79, traps=[InvalidOperation, Overflow, Inexact])
_scale: Final = _EXACT.scaleb
_multiply: Final = _EXACT.multiply
_whole: Final = _EXACT.to_integral_exact
_SHOWN: Final = 40
_REMEMBERED: Final = 4096


class Refusal(CryptoprotoError):
    """A command cannot be carried out and has changed nothing. The engine turns it into a ``Refused``."""

    def __init__(self, error_type: int, text: str) -> None:
        super().__init__(error_type, text)
        self.error_type = error_type
        self.text = text


def as_decimal(value: AmountLike, name: str) -> Decimal:
    """*value* as a Decimal; *name* names it in an error.

    The range is checked later, by the same rule for values from a journal and from a caller.

    Raises:
        ConfigurationError: it is a float or not a number.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise ConfigurationError(f"{name}={value!r} must be a Decimal, a string or an int, not {type(value).__name__}")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ConfigurationError(f'{name}={value!r} is not a decimal number; write it like "1.5"') from None


def to_units(value: AmountLike, name: str, *, zero: bool = False) -> int:
    """*value* in units of 1e-8; *name* names it in an error, *zero* says whether zero is allowed.

    Decimals after the eighth must be zeroes.

    Raises:
        Refusal: it is not positive, not finite, greater than 10**18, or finer than eight decimals.
    """
    if not isinstance(value, Decimal):
        value = as_decimal(value, name)
    try:
        units = int(_whole(_scale(value, _EIGHT)))
    except Overflow:
        units = MAX_UNITS + 1 if value > 0 else -1
    except (ValueError, OverflowError, InvalidOperation):  # NaN, an infinity, a signaling NaN
        raise Refusal(2, f"{name}={value} is not a finite number") from None
    except Inexact:
        raise Refusal(2, f"{name}={_shown(value)} has more than 8 decimals") from None
    if units > MAX_UNITS:
        raise Refusal(2, f"{name}={_shown(value)} is too large: the maximum is 10**18")
    if units < 0 or not (units or zero):
        raise Refusal(2, f"{name}={_shown(value)} must be {'zero or more' if zero else 'greater than zero'}")
    return units


exact: Final[Callable[[int], Decimal]] = partial(_multiply, _STEP)
"""Units of 1e-8 as a Decimal with exactly eight decimals."""

from_units: Final = lru_cache(_REMEMBERED)(exact)
"""The same for prices, amounts and fees, which repeat: looking one up is faster. Balances hardly ever do."""


def _shown(value: Decimal) -> str:
    # A payload may hold a number of a million digits; an error shows the first of them.
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
