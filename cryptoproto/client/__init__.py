"""The client's side: one live connection, and the client that keeps one; market data and the order book."""

from __future__ import annotations

from .backoff import Backoff
from .balances import BalanceDifference
from .book import Level, OrderBook
from .client import Client
from .connection import Connection
from .desk import OutcomeReport, Report
from .event import Event
from .feed_state import FeedState, FeedStatus
from .market_data import MarketData
from .opening import connect
from .options import Throttle
from .order import Order, OrderStatus, Side, TimeInForce
from .order_table import OrderDifference
from .states import State, StateChange
from .store import MemoryStore, SqliteStore, Store
from .update_queue import MarketUpdate

__all__ = [
    "Backoff",
    "BalanceDifference",
    "Client",
    "Connection",
    "Event",
    "FeedState",
    "FeedStatus",
    "Level",
    "MarketData",
    "MarketUpdate",
    "MemoryStore",
    "Order",
    "OrderBook",
    "OrderDifference",
    "OrderStatus",
    "OutcomeReport",
    "Report",
    "Side",
    "SqliteStore",
    "State",
    "StateChange",
    "Store",
    "Throttle",
    "TimeInForce",
    "connect",
]
