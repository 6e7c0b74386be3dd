"""The client that stays connected: orders with true outcomes, events exactly once and in order."""

from __future__ import annotations

from .account import BalanceDifference, Order, OrderDifference, OrderStatus, OrderTable, Side, TimeInForce
from .client import Client
from .metrics import MetricsSnapshot
from .order_entry import OutcomeReport, Report
from .states import State, StateChange
from .store import MemoryStore, SqliteStore, Store

__all__ = [
    "BalanceDifference",
    "Client",
    "MemoryStore",
    "MetricsSnapshot",
    "Order",
    "OrderDifference",
    "OrderStatus",
    "OrderTable",
    "OutcomeReport",
    "Report",
    "Side",
    "SqliteStore",
    "State",
    "StateChange",
    "Store",
    "TimeInForce",
]
