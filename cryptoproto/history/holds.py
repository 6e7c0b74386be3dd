"""What a fill is paid out of: the hold of the order that was filled."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal
from typing import Final

from ..messages import EXACT, OwnTrade

__all__ = ["paid"]

_STEP: Final = Decimal("0.00000001")
_down_to: Final = Context(prec=200, rounding=ROUND_FLOOR, traps=[]).quantize
_multiply: Final = EXACT.multiply


def paid(trade: OwnTrade) -> tuple[str, Decimal]:
    """The currency and the amount that *trade* takes out of the client's hold.

    The amount for a seller, and price × amount, rounded down to eight decimals, for a buyer (rules of the exchange,
    "Numbers").
    """
    base, _, quote = trade.trade_pair.partition("_")
    if trade.bought:
        return quote, _down_to(_multiply(trade.price, trade.amount), _STEP)
    return base, trade.amount
