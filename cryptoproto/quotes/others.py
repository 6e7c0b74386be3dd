"""The book without the quotes: what others bid and ask, to quote around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from ..client import Order
from ..instruments.grid import EXACT
from ..market_data import Level, OrderBook
from ..messages import Side

__all__ = ["middle_of_others"]

_HALF = Decimal("0.5")


def middle_of_others(book: OrderBook, orders: Sequence[Order], newest: int) -> Decimal | None:
    """The price halfway between the best bid and the best ask of others.

    Args:
        book: the book, with *orders* in it.
        orders: the own open ones.
        newest: the highest order id of all own orders. A book from before it may show what is cancelled by now.

    Returns:
        The price; ``None`` if others leave a side empty, or the book is stale or older than *newest*.
    """
    if book.current_order_id is None or book.current_order_id < newest:
        return None
    bid = _best(book.bids, (order for order in orders if order.side is Side.BUY))
    ask = _best(book.asks, (order for order in orders if order.side is Side.SELL))
    return None if bid is None or ask is None else EXACT.multiply(EXACT.add(bid, ask), _HALF)


def _best(levels: Iterable[Level], orders: Iterable[Order]) -> Decimal | None:
    own: dict[Decimal, Decimal] = {}
    for order in orders:
        own[order.price] = EXACT.add(own.get(order.price, Decimal(0)), order.remaining)
    return next((price for price, volume in levels if volume > own.get(price, Decimal(0))), None)
