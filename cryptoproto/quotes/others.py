"""The book without the quotes: what others bid and ask, to quote around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from ..client import Order
from ..instruments.grid import EXACT
from ..market_data import BookSide, OrderBook
from ..messages import Side

__all__ = ["middle_of_others"]

_HALF: Final = Decimal("0.5")
_ZERO: Final = Decimal(0)


def middle_of_others(book: OrderBook, own: Iterable[Order], newest: int) -> Decimal | None:
    """The price halfway between the best bid and the best ask of others.

    Args:
        book: the book.
        own: every own order that may be in it. Each counts with its whole amount: it may have been filled since.
        newest: the highest order id of all own orders. A book from before it may show what is cancelled by now.

    Returns:
        The price; ``None`` if others leave a side empty, or the book is stale or older than *newest*.
    """
    if book.current_order_id is None or book.current_order_id < newest:
        return None
    amounts: dict[tuple[Side, Decimal], Decimal] = {}
    for order in own:
        key = order.side, order.price
        amounts[key] = EXACT.add(amounts.get(key, _ZERO), order.amount)
    bid = _best(book.bids, Side.BUY, amounts)
    ask = _best(book.asks, Side.SELL, amounts)
    return None if bid is None or ask is None else EXACT.multiply(EXACT.add(bid, ask), _HALF)


def _best(levels: BookSide, side: Side, own: Mapping[tuple[Side, Decimal], Decimal]) -> Decimal | None:
    return next((price for price, volume in levels if volume > own.get((side, price), _ZERO)), None)
