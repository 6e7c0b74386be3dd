"""What events tell about a client's orders and balances. No I/O, no event loop."""

from __future__ import annotations

from .account import Account
from .balances import BalanceDifference
from .order import Order, OrderStatus, Side, TimeInForce
from .order_table import OrderDifference, OrderTable

__all__ = [
    "Account",
    "BalanceDifference",
    "Order",
    "OrderDifference",
    "OrderStatus",
    "OrderTable",
    "Side",
    "TimeInForce",
]
