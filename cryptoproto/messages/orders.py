"""Messages about orders: what a client sends, and what the exchange reports about its orders.

Client messages take amounts as Decimal, string or int and keep them as Decimal. Server messages carry ``time`` as
``(unix seconds, microseconds)``; ``at`` is the same as a datetime in UTC.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ..exceptions import OrderInvalid
from .amounts import AmountLike, as_short, check_decimals, exact
from .base import Message, Time, moment

__all__ = [
    "BuyOrderAmountChanged",
    "BuyOrderCancelled",
    "BuyOrderClosed",
    "BuyOrderPlaced",
    "CancelAllOrders",
    "CancelOrder",
    "InsufficientFunds",
    "OrderAmountChanged",
    "OrderCancelled",
    "OrderClosed",
    "OrderNotFound",
    "OrderPlaced",
    "PlaceBuyFoKOrder",
    "PlaceBuyIoCOrder",
    "PlaceBuyLimitOrder",
    "PlaceOrder",
    "PlaceSellFoKOrder",
    "PlaceSellIoCOrder",
    "PlaceSellLimitOrder",
    "check_cancel",
    "check_place",
]


class PlaceOrder(Message, frozen=True, gc=False, omit_defaults=True):
    """What the six order messages share.

    Types and signs are checked when a message is built; decimals and the range of ids when it is encoded for sending,
    so that an exchange can read, and answer, an order that it will not accept.

    Args:
        trade_pair: base and quote currency, ``"BTC_USD"``.
        amount: how much of the base currency, with up to eight decimals.
        price: the limit, in units of the quote currency per unit of the base currency, with up to eight decimals.
        client_order_id: the client's own number for the order, never used before; omitted if ``None``.
        ttl: seconds until the exchange cancels the remainder, in whole minutes; 0 = never.

    Raises:
        OrderInvalid: an amount or price is a float, not a number, or not greater than zero; the ttl is negative or not
            a whole number; or another field has the wrong type.
    """

    trade_pair: str
    amount: AmountLike
    price: AmountLike
    client_order_id: int | None = None
    # A factory, because omit_defaults leaves out values equal to a plain default, and the exchange expects a ttl.
    ttl: int = msgspec.field(default_factory=int)

    def __post_init__(self) -> None:
        amount = exact(self.amount, "amount", OrderInvalid)
        if amount is not self.amount:
            msgspec.structs.force_setattr(self, "amount", amount)
        price = exact(self.price, "price", OrderInvalid)
        if price is not self.price:
            msgspec.structs.force_setattr(self, "price", price)
        if not isinstance(self.trade_pair, str):
            raise OrderInvalid(f'trade_pair={self.trade_pair!r} must be a string like "BTC_USD"')
        if type(self.ttl) is not int or self.ttl < 0:
            raise OrderInvalid(f"ttl={self.ttl!r} must be 0 (never expires) or a whole number of seconds")
        if self.client_order_id is not None and type(self.client_order_id) is not int:
            raise OrderInvalid(f"client_order_id={self.client_order_id!r} must be an int or None")


def check_place(message: PlaceOrder) -> None:
    """Check what only the sender of an order checks; see :class:`PlaceOrder`.

    Raises:
        OrderInvalid: an amount or price has more than eight decimals, or the client order id does not fit 64 bits.
    """
    amount: Any = message.amount  # a built message holds Decimals
    price: Any = message.price
    # Nearly all amounts pass the first test, at half the time of the second.
    if as_short(amount) != amount or as_short(price) != price:
        check_decimals(amount, price, OrderInvalid)
    number = message.client_order_id
    if number is not None and not -(2**63) <= number < 2**63:
        raise OrderInvalid(f"client_order_id={number} does not fit into 64 bits")


class PlaceBuyLimitOrder(PlaceOrder, frozen=True, gc=False):
    """Buy up to *amount* at *price* or lower; what is not filled immediately rests in the book."""


class PlaceSellLimitOrder(PlaceOrder, frozen=True, gc=False):
    """Sell up to *amount* at *price* or higher; what is not filled immediately rests in the book."""


class PlaceBuyFoKOrder(PlaceOrder, frozen=True, gc=False):
    """Fill or kill: buy all of *amount* immediately, or nothing."""


class PlaceSellFoKOrder(PlaceOrder, frozen=True, gc=False):
    """Fill or kill: sell all of *amount* immediately, or nothing."""


class PlaceBuyIoCOrder(PlaceOrder, frozen=True, gc=False):
    """Immediate or cancel: buy what is available immediately and cancel the rest."""


class PlaceSellIoCOrder(PlaceOrder, frozen=True, gc=False):
    """Immediate or cancel: sell what can be sold immediately and cancel the rest."""


class CancelOrder(Message, frozen=True, gc=False):
    """Cancel what is left of one order; *order_id* is the id that the exchange assigned to it."""

    order_id: int


def check_cancel(message: CancelOrder) -> None:
    """Check what only the sender of a cancellation checks.

    Raises:
        OrderInvalid: the order id is not an int, or does not fit 64 bits.
    """
    number = message.order_id
    if type(number) is not int:
        raise OrderInvalid(
            f"order_id={number!r} must be an int, the id that the exchange assigned, not {type(number).__name__}"
        )
    if not -(2**63) <= number < 2**63:
        raise OrderInvalid(f"order_id={number} does not fit into 64 bits")


class CancelAllOrders(Message, frozen=True, gc=False):
    """Cancel every open order of this client."""


class _OrderEvent(Message, frozen=True, gc=False):
    order_id: int
    trade_pair: str
    time: Time
    client_order_id: int | None = None

    @property
    def at(self) -> datetime:
        """When it happened, exact to the microsecond, in UTC."""
        return moment(self.time)


class OrderPlaced(_OrderEvent, frozen=True, gc=False, kw_only=True):
    """An order was accepted.

    *amount* is what is left of *initial_amount* after the immediate execution. If *closed_inline* is true, the order
    was filled completely on arrival and no further events follow for it.
    """

    price: Decimal
    initial_amount: Decimal
    amount: Decimal
    closed_inline: bool = False


class BuyOrderPlaced(OrderPlaced, frozen=True, gc=False):
    """A buy order was accepted."""


class SellOrderPlaced(OrderPlaced, frozen=True, gc=False):
    """A sell order was accepted."""


class OrderAmountChanged(_OrderEvent, frozen=True, gc=False, kw_only=True):
    """An order was filled in part: *amount* is left, and *fee* was charged in the currency received."""

    amount: Decimal
    fee: Decimal = Decimal(0)


class BuyOrderAmountChanged(OrderAmountChanged, frozen=True, gc=False):
    """A buy order was filled in part; the fee is in the base currency."""


class SellOrderAmountChanged(OrderAmountChanged, frozen=True, gc=False):
    """A sell order was filled in part; the fee is in the quote currency."""


class OrderCancelled(_OrderEvent, frozen=True, gc=False):
    """The rest of an order was cancelled: on request, by expiry, or because it may not rest in the book."""


class BuyOrderCancelled(OrderCancelled, frozen=True, gc=False):
    """A buy order was cancelled."""


class SellOrderCancelled(OrderCancelled, frozen=True, gc=False):
    """A sell order was cancelled."""


class OrderClosed(_OrderEvent, frozen=True, gc=False):
    """A resting order was filled completely."""


class BuyOrderClosed(OrderClosed, frozen=True, gc=False):
    """A resting buy order was filled completely."""


class SellOrderClosed(OrderClosed, frozen=True, gc=False):
    """A resting sell order was filled completely."""


class OrderNotFound(Message, frozen=True, gc=False):
    """The order to cancel is not open, or does not belong to this client."""

    order_id: int


class InsufficientFunds(Message, frozen=True, gc=False):
    """An order was rejected: the available balance of *currency* does not cover it."""

    order_id: int
    currency: str
