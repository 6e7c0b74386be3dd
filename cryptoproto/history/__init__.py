"""The history of a client: written by its store, read by time ranges. It knows nothing of a connection or a client."""

from __future__ import annotations

from .columns import COLUMNS
from .export import write_csv
from .history import History, HistoryTable
from .holds import paid
from .pnl import CostMethod, HasMid, Prices, ProfitAndLoss
from .recorder import ARCHIVE, ARCHIVE_ROW, Recorder
from .records import BalanceRecord, OrderChange, OrderRecord, RecordedStatus, TradeRecord
from .schema import NOT_KEPT, open_history
from .time_range import When

__all__ = [
    "ARCHIVE",
    "ARCHIVE_ROW",
    "COLUMNS",
    "NOT_KEPT",
    "BalanceRecord",
    "CostMethod",
    "HasMid",
    "History",
    "HistoryTable",
    "OrderChange",
    "OrderRecord",
    "Prices",
    "ProfitAndLoss",
    "RecordedStatus",
    "Recorder",
    "TradeRecord",
    "When",
    "open_history",
    "paid",
    "write_csv",
]
