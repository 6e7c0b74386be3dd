"""The client's side: one live connection, and the client that keeps one."""

from __future__ import annotations

from .backoff import Backoff
from .client import Client
from .connection import Connection
from .desk import OutcomeReport
from .event import Event
from .opening import connect
from .options import Throttle
from .order import Order, OrderStatus, Side, TimeInForce
from .states import State, StateChange
from .store import MemoryStore, SqliteStore, Store

__all__ = [
    "Backoff",
    "Client",
    "Connection",
    "Event",
    "MemoryStore",
    "Order",
    "OrderStatus",
    "OutcomeReport",
    "Side",
    "SqliteStore",
    "State",
    "StateChange",
    "Store",
    "Throttle",
    "TimeInForce",
    "connect",
]
