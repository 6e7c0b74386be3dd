"""The client's side: one live connection, and the public market data."""

from __future__ import annotations

from .backoff import Backoff
from .book import Level, OrderBook
from .connection import Connection, connect
from .event import Event
from .feed_state import FeedState, FeedStatus
from .market_data import MarketData
from .options import Throttle
from .update_queue import MarketUpdate

__all__ = [
    "Backoff",
    "Connection",
    "Event",
    "FeedState",
    "FeedStatus",
    "Level",
    "MarketData",
    "MarketUpdate",
    "OrderBook",
    "Throttle",
    "connect",
]
