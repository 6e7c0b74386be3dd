"""Orders of bitcoin, and the messages that report what happens to them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cryptoproto.client.account.order import Order
from cryptoproto.messages import (
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderPlaced,
    OpenOrder,
    OpenOrders,
    OwnTrade,
    Side,
    UserOrdersResponse,
)

__all__ = [
    "NONE",
    "ONE",
    "PRICE",
    "TIME",
    "a_list",
    "an_order",
    "cancelled",
    "changed",
    "placed",
    "placed_quickly",
    "traded",
]


TIME = (1, 0)
NONE, ONE, PRICE = Decimal(0), Decimal(1), Decimal(100)


def an_order(client_order_id: int | None = 7, amount: str = "1", **terms: Any) -> Order:
    return Order(
        client_order_id=client_order_id, trade_pair="BTC_USD", side=Side.BUY, amount=amount, price="100", **terms
    )


def placed(order_id: int = 1, client_order_id: int | None = 7, left: str = "1", amount: str = "1") -> BuyOrderPlaced:
    return BuyOrderPlaced(
        order_id,
        "BTC_USD",
        TIME,
        client_order_id,
        price=Decimal(100),
        initial_amount=Decimal(amount),
        amount=Decimal(left),
        closed_inline=not Decimal(left),
    )


def traded(amount: str, price: str = "100", *, maker: bool = False, order_id: int = 1, mine: int = 7) -> OwnTrade:
    return OwnTrade(order_id, "BTC_USD", Decimal(amount), Decimal(price), maker, maker, TIME, mine)


def changed(left: str, fee: str = "0", order_id: int = 1, client_order_id: int = 7) -> BuyOrderAmountChanged:
    return BuyOrderAmountChanged(order_id, "BTC_USD", TIME, client_order_id, amount=Decimal(left), fee=Decimal(fee))


def cancelled(order_id: int = 1, client_order_id: int | None = 7) -> BuyOrderCancelled:
    return BuyOrderCancelled(order_id, "BTC_USD", TIME, client_order_id)


def a_list(*rows: OpenOrder) -> UserOrdersResponse:
    return UserOrdersResponse({"BTC_USD": OpenOrders(buy=list(rows))} if rows else {})


def placed_quickly(number: int) -> BuyOrderPlaced:
    return BuyOrderPlaced(
        number,
        "BTC_USD",
        TIME,
        number,
        price=Decimal(100),
        initial_amount=Decimal(1),
        amount=Decimal(0),
        closed_inline=True,
    )
