"""The client's side: one live connection."""

from __future__ import annotations

from .connection import Connection
from .event import Event
from .opening import connect
from .options import Throttle
from .order import Order, OrderStatus, Side, TimeInForce
from .store import MemoryStore, SqliteStore, Store

__all__ = [
    "Connection",
    "Event",
    "MemoryStore",
    "Order",
    "OrderStatus",
    "Side",
    "SqliteStore",
    "Store",
    "Throttle",
    "TimeInForce",
    "connect",
]
