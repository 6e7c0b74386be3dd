"""The history of a client: written by its store, read by time ranges. It knows nothing of a connection or a client."""

from __future__ import annotations

from .history import History
from .holds import paid
from .pnl import Method, Prices, ProfitAndLoss, Quoted
from .recorder import ARCHIVE, Recorder
from .records import BalanceRecord, OrderChange, OrderRecord, TradeRecord
from .schema import NOT_KEPT, open_history
from .time_range import When

__all__ = [
    "ARCHIVE",
    "NOT_KEPT",
    "BalanceRecord",
    "History",
    "Method",
    "OrderChange",
    "OrderRecord",
    "Prices",
    "ProfitAndLoss",
    "Quoted",
    "Recorder",
    "TradeRecord",
    "When",
    "open_history",
    "paid",
]
