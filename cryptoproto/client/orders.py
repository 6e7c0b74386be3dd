"""Orders: what is placed, and the table of what became of it."""

from __future__ import annotations

from .order import Order, OrderStatus, Side, TimeInForce, place_message
from .order_table import OrderDifference, OrderTable

__all__ = ["Order", "OrderDifference", "OrderStatus", "OrderTable", "Side", "TimeInForce", "place_message"]
