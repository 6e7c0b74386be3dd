"""Requests and their responses. Amounts in responses are Decimal."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from .base import Message
from .plain_values import AsDict

__all__ = [
    "Balance",
    "OpenOrder",
    "OpenOrders",
    "UserBalanceRequest",
    "UserBalanceResponse",
    "UserOrdersRequest",
    "UserOrdersResponse",
]


class UserOrdersRequest(Message, frozen=True, gc=False):
    """Ask for the client's open orders."""


class OpenOrder(AsDict, msgspec.Struct, frozen=True, gc=False):
    """One open order; *amount* is what is left of it."""

    order_id: int
    amount: Decimal
    price: Decimal
    client_order_id: int | None = None


class OpenOrders(AsDict, msgspec.Struct, frozen=True, gc=False):
    """The client's open orders of one trade pair."""

    buy: list[OpenOrder] = []
    sell: list[OpenOrder] = []


class UserOrdersResponse(Message, frozen=True, gc=False):
    """The client's open orders by trade pair."""

    order_books: dict[str, OpenOrders]


class UserBalanceRequest(Message, frozen=True, gc=False):
    """Ask for the client's balances."""


class Balance(AsDict, msgspec.Struct, frozen=True, gc=False):
    """The balance of one currency: what can be used, and what open orders have reserved."""

    available: Decimal
    on_hold: Decimal


class UserBalanceResponse(Message, frozen=True, gc=False):
    """The client's balances by currency."""

    account_id: int | str
    balances: dict[str, Balance]
