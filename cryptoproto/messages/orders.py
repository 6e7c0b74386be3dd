"""Messages about orders: what a client sends, and what the exchange tells of its orders.

Client messages take amounts as Decimal, string or int and keep them as Decimal. Server messages carry ``time`` as
``(unix seconds, microseconds)``; ``at`` is the same as a datetime in UTC.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from ..exceptions import ConfigurationError
from .amounts import AmountLike, exact
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
]


class PlaceOrder(Message, frozen=True, gc=False, omit_defaults=True):
    """What the six order messages share.

    Args:
        trade_pair: base and quote currency, ``"BTC_USD"``.
        amount: how much of the base currency.
        price: the limit, in the quote currency for one of the base currency.
        client_order_id: the client's own number for the order, never used before; left out when ``None``.
        ttl: seconds until the exchange cancels what is left, in whole minutes; 0 = for ever.

    Raises:
        ConfigurationError: an amount or price is a float, no number, or not greater than zero; or the ttl is negative
            or not whole.
    """

    trade_pair: str
    amount: AmountLike
    price: AmountLike
    client_order_id: int | None = None
    # A factory, because omit_defaults leaves out values equal to a plain default, and the exchange expects a ttl.
    ttl: int = msgspec.field(default_factory=int)

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "amount", exact(self.amount, "amount"))
        msgspec.structs.force_setattr(self, "price", exact(self.price, "price"))
        if not isinstance(self.ttl, int) or self.ttl < 0:
            raise ConfigurationError(f"ttl={self.ttl!r} must be 0 (for ever) or a whole number of seconds")


class PlaceBuyLimitOrder(PlaceOrder, frozen=True, gc=False):
    """Buy up to *amount* at *price* or lower; what is not filled at once rests in the book."""


class PlaceSellLimitOrder(PlaceOrder, frozen=True, gc=False):
    """Sell up to *amount* at *price* or higher; what is not filled at once rests in the book."""


class PlaceBuyFoKOrder(PlaceOrder, frozen=True, gc=False):
    """Fill or kill: buy all of *amount* at once, or nothing."""


class PlaceSellFoKOrder(PlaceOrder, frozen=True, gc=False):
    """Fill or kill: sell all of *amount* at once, or nothing."""


class PlaceBuyIoCOrder(PlaceOrder, frozen=True, gc=False):
    """Immediate or cancel: buy what can be had at once and cancel the rest."""


class PlaceSellIoCOrder(PlaceOrder, frozen=True, gc=False):
    """Immediate or cancel: sell what can be sold at once and cancel the rest."""


class CancelOrder(Message, frozen=True, gc=False):
    """Cancel what is left of one order."""

    order_id: int


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

    *amount* is what is left of *initial_amount* after the immediate execution. With *closed_inline* it was executed
    whole at once, and nothing more follows for it.
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
    """A fill left *amount* to be filled; *fee* was charged for it, in the currency received."""

    amount: Decimal
    fee: Decimal = Decimal(0)


class BuyOrderAmountChanged(OrderAmountChanged, frozen=True, gc=False):
    """A buy order was filled in part; the fee is in the base currency."""


class SellOrderAmountChanged(OrderAmountChanged, frozen=True, gc=False):
    """A sell order was filled in part; the fee is in the quote currency."""


class OrderCancelled(_OrderEvent, frozen=True, gc=False):
    """What was left of an order was cancelled: asked for, expired, or never to rest."""


class BuyOrderCancelled(OrderCancelled, frozen=True, gc=False):
    """A buy order was cancelled."""


class SellOrderCancelled(OrderCancelled, frozen=True, gc=False):
    """A sell order was cancelled."""


class OrderClosed(_OrderEvent, frozen=True, gc=False):
    """A resting order was filled whole."""


class BuyOrderClosed(OrderClosed, frozen=True, gc=False):
    """A resting buy order was filled whole."""


class SellOrderClosed(OrderClosed, frozen=True, gc=False):
    """A resting sell order was filled whole."""


class OrderNotFound(Message, frozen=True, gc=False):
    """The order to cancel is not open, or never was this client's."""

    order_id: int


class InsufficientFunds(Message, frozen=True, gc=False):
    """An order was refused: the available balance of *currency* does not cover it."""

    order_id: int
    currency: str
