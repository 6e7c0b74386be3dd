"""The columns of each table of a history."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from ..frames import Columns
from .records import BalanceRecord, OrderChange, OrderRecord, TradeRecord

__all__ = ["COLUMNS", "typed_columns"]

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "trades": TradeRecord.__struct_fields__,
    "orders": tuple(name for name in OrderRecord.__struct_fields__ if name != "changes"),
    "order_changes": OrderChange.__struct_fields__,
    "balances": BalanceRecord.__struct_fields__,
}
"""The columns of each kind of table."""

_TYPES: Final[dict[str, type]] = {
    **dict.fromkeys(("time", "sent_at", "began_at", "ended_at"), datetime),
    **dict.fromkeys(("transaction_id", "order_id", "client_order_id", "ttl"), int),
    **dict.fromkeys(
        ("trade_pair", "side", "fee_currency", "time_in_force", "status", "what", "currency", "reason"), str
    ),
    "maker": bool,
}
"""The types of all columns that do not hold amounts."""


def typed_columns(table: str) -> Columns:
    """The columns of a table with their types."""
    return {name: _TYPES.get(name, Decimal) for name in COLUMNS[table]}
