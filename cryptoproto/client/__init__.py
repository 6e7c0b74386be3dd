"""The client's side: one live connection, and the client that keeps one."""
"""The client's side: one live connection, and the public market data."""

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
from .book import Level, OrderBook
from .connection import Connection, connect
from .feed_state import FeedState, FeedStatus
from .market_data import MarketData
from .update_queue import MarketUpdate
    "FeedState",
    "FeedStatus",
    "Level",
    "MarketData",
    "MarketUpdate",
    "OrderBook",
    "connect",
]
