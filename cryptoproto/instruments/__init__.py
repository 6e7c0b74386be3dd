"""The rules of a trade pair and a trader's own limits: what an order has to satisfy before it is sent."""

from __future__ import annotations

from .instrument import Instrument, by_pair
from .mid_price import Books, BookSource, MidBook
from .order_limits import LimitedOrder, OrderLimits
from .order_rate import OrderRate
from .trade_pair import split_pair

__all__ = [
    "BookSource",
    "Books",
    "Instrument",
    "LimitedOrder",
    "MidBook",
    "OrderLimits",
    "OrderRate",
    "by_pair",
    "split_pair",
]
