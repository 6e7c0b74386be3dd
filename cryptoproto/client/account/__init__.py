"""A client's orders and balances, updated by its events. No I/O, no event loop."""

from __future__ import annotations

from .account import Account
from .balances import BalanceDifference
from .order import Order, OrderStatus
from .order_table import OrderDifference, OrderTable
from .terms import Side, TimeInForce, check_id, to_side, to_time_in_force

__all__ = [
    "Account",
    "BalanceDifference",
    "Order",
    "OrderDifference",
    "OrderStatus",
    "OrderTable",
    "Side",
    "TimeInForce",
    "check_id",
    "to_side",
    "to_time_in_force",
]
