"""The client that stays connected: orders whose outcome is known, events once and in order."""

from __future__ import annotations

from .account import BalanceDifference, Order, OrderDifference, OrderStatus, OrderTable
from .client import Client
from .event_stream import EventStream
from .metrics import MetricsSnapshot
from .overrides import ClientCall, ClientOverrides, client_arguments
from .placing import PreparedOrder
from .reports import OutcomeReport, Report, ReportStream
from .states import State, StateChange
from .store import MemoryStore, SqliteStore, Store
from .trading import TradingClient

__all__ = [
    "BalanceDifference",
    "Client",
    "ClientCall",
    "ClientOverrides",
    "EventStream",
    "MemoryStore",
    "MetricsSnapshot",
    "Order",
    "OrderDifference",
    "OrderStatus",
    "OrderTable",
    "OutcomeReport",
    "PreparedOrder",
    "Report",
    "ReportStream",
    "SqliteStore",
    "State",
    "StateChange",
    "Store",
    "TradingClient",
    "client_arguments",
]
