"""A client's orders and balances, updated by its events. No I/O, no event loop."""

from __future__ import annotations

from .account import Account
from .balances import BalanceDifference
from .order import Order, OrderStatus
from .order_table import OrderDifference, OrderTable

__all__ = [
    "Account",
    "BalanceDifference",
    "Order",
    "OrderDifference",
    "OrderStatus",
    "OrderTable",
]
