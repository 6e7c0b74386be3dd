"""One order, as this process knows it: its terms, what became of it, and milestones to wait for."""

from __future__ import annotations

import asyncio
import copy
import enum
import time
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, Final, Self

from ...exceptions import OrderNotFilled, OutcomeUnknown, RequestTimeout
from ...messages import (
    AmountLike,
    OwnTrade,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    exact,
    plain,
)

__all__ = ["EXACT", "Order", "OrderStatus", "Side", "TimeInForce", "place_message"]

EXACT: Final = Context(prec=200, traps=[])
"""Sums and products of amounts, without rounding for anything an exchange sends, whatever the global context is."""

_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply
# A quotient has to end somewhere: forty digits are twelve more than Python's default.
_QUOTIENT: Final = Context(prec=40, traps=[])
_ZERO: Final = Decimal(0)


class Side(enum.Enum):
    """Which side of the market an order is on."""

    BUY = "buy"
    SELL = "sell"


class TimeInForce(enum.Enum):
    """What becomes of the part of an order that is not filled at once."""

    GTC = "gtc"
    """Good till cancelled: it rests in the book, until its ttl is over if it has one."""
    FOK = "fok"
    """Fill or kill: all is filled at once, or nothing."""
    IOC = "ioc"
    """Immediate or cancel: what is not filled at once is cancelled."""


class OrderStatus(enum.Enum):
    """Where an order stands."""

    PENDING = "pending"
    """Sent, or waiting to be; the exchange has not answered."""
    OPEN = "open"
    """Accepted, and not at its end."""
    FILLED = "filled"
    """Filled whole."""
    CANCELLED = "cancelled"
    """Cancelled, expired, or never to rest; a part of it may have been filled."""
    REJECTED = "rejected"
    """Refused by the exchange; :attr:`Order.error` says why."""
    NOT_SENT = "not_sent"
    """It never reached the exchange."""
    UNKNOWN = "unknown"
    """Not known at present, while the link is lost: it turns into one of the others once the exchange tells.

    An order that was open, and of which the exchange only says that it no longer is, is closed in this status.
    """


_ENDED_UNPLACED: Final = frozenset((OrderStatus.REJECTED, OrderStatus.NOT_SENT, OrderStatus.UNKNOWN))
_KINDS: Final[dict[tuple[Side, TimeInForce], type[PlaceOrder]]] = {
    (Side.BUY, TimeInForce.GTC): PlaceBuyLimitOrder,
    (Side.SELL, TimeInForce.GTC): PlaceSellLimitOrder,
    (Side.BUY, TimeInForce.FOK): PlaceBuyFoKOrder,
    (Side.SELL, TimeInForce.FOK): PlaceSellFoKOrder,
    (Side.BUY, TimeInForce.IOC): PlaceBuyIoCOrder,
    (Side.SELL, TimeInForce.IOC): PlaceSellIoCOrder,
}
_TERMS: Final = {kind: terms for terms, kind in _KINDS.items()}


def place_message(
    trade_pair: str,
    side: Side,
    *,
    amount: AmountLike,
    price: AmountLike,
    time_in_force: TimeInForce = TimeInForce.GTC,
    ttl: int = 0,
    client_order_id: int | None,
) -> PlaceOrder:
    """The one of the six order messages that says this.

    Raises:
        ConfigurationError: an amount or price is a float, no number, or not greater than zero.
        ValueError: *ttl* is negative.
    """
    return _KINDS[side, time_in_force](trade_pair, amount, price, client_order_id, ttl)


class Order:
    """One order; kept up to date by the client that placed it. Read its attributes, don't set them.

    Everything is as of the last event that the client has received, and nothing is rounded.

    Attributes:
        client_order_id: the client's own number for it; ``None`` for one that was placed elsewhere without.
        order_id: the exchange's number for it, ``None`` until it tells.
        trade_pair: base and quote currency.
        side: bought or sold.
        time_in_force: ``None`` for one that was placed elsewhere: no event tells.
        amount: how much of the base currency the order was for.
        price: the limit.
        ttl: seconds until the exchange cancels it, 0 = for ever; 0 too for one that was placed elsewhere.
        terms_known: whether *amount* and *price* are those of the order. They are not for one whose placement lies
            before the position that the client resumed from: until it is compared with the exchange its price is
            0, and its amount is what is left and what was seen filled.
        status: where it stands.
        remaining: how much is not filled; for a cancelled order, how much never was.
        fees: what was charged, in the currency received: base for a buyer, quote for a seller.
        trades: its executions, oldest first.
        error: why it was rejected or not sent, or that its outcome is unknown; ``None`` otherwise.
        created_ns: when it was made here, in unix nanoseconds.
        acknowledged_ns: when the exchange's word came that it was accepted, ``None`` until then.
        closed_ns: when the word came that it is at its end, ``None`` until then.
        changed_by: the transaction id of the last event about it, -1 before the first.
        waiters: the futures of those who wait for its status to change; for the order table.
    """

    # Most orders never have most of these. They stand on the class, where they cost nothing for each order that events
    # tell of.
    order_id: int | None = None
    time_in_force: TimeInForce | None = None
    ttl: int = 0
    terms_known: bool = True
    fees: Decimal = _ZERO
    error: Exception | None = None
    acknowledged_ns: int | None = None
    closed_ns: int | None = None
    changed_by: int = -1
    waiters: list[asyncio.Future[None]] | None = None
    _counted: int = 0
    _cost: Decimal = _ZERO
    _traded: Decimal = _ZERO
    _ended: Exception | None = None

    def __init__(
        self,
        *,
        client_order_id: int | None,
        trade_pair: str,
        side: Side,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce = TimeInForce.GTC,
        ttl: int = 0,
        created_ns: int | None = None,
    ) -> None:
        self.client_order_id = client_order_id
        self.trade_pair = trade_pair
        self.side = side
        self.time_in_force = time_in_force
        self.amount = self.remaining = exact(amount, "amount")
        self.price = exact(price, "price")
        self.ttl = ttl
        self.status = OrderStatus.PENDING
        self.trades: list[OwnTrade] = []
        self.created_ns = time.time_ns() if created_ns is None else created_ns

    @classmethod
    def of(cls, message: PlaceOrder, *, created_ns: int | None = None) -> Self:
        """The order that *message* places."""
        side, time_in_force = _TERMS[type(message)]
        order = cls.__new__(cls)  # not __init__(): the message has validated everything
        order.client_order_id = message.client_order_id
        order.trade_pair = message.trade_pair
        order.side = side
        order.time_in_force = time_in_force
        amount: Any = message.amount  # exact from here on, whatever it was made from
        price: Any = message.price
        order.amount = order.remaining = amount
        order.price = price
        order.ttl = message.ttl
        order.status = OrderStatus.PENDING
        order.trades = []
        order.created_ns = time.time_ns() if created_ns is None else created_ns
        return order

    @classmethod
    def elsewhere(
        cls, order_id: int, trade_pair: str, side: Side, client_order_id: int | None, *, created_ns: int
    ) -> Self:
        """An order that this process did not place, and that the exchange has accepted; its terms come later."""
        order = cls.__new__(cls)
        order.order_id = order_id
        order.client_order_id = client_order_id
        order.trade_pair = trade_pair
        order.side = side
        order.amount = order.remaining = order.price = _ZERO
        order.terms_known = False
        order.status = OrderStatus.OPEN
        order.trades = []
        order.created_ns = order.acknowledged_ns = created_ns
        return order

    @property
    def is_open(self) -> bool:
        """Whether the exchange has accepted it and it is not at its end."""
        return self.status is OrderStatus.OPEN

    @property
    def is_closed(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.closed_ns is not None

    @property
    def filled(self) -> Decimal:
        """How much is filled."""
        return _subtract(self.amount, self.remaining)

    @property
    def average_price(self) -> Decimal | None:
        """The mean price of :attr:`trades`, weighted by amount, to forty digits; ``None`` before the first."""
        self._count_trades()
        return _QUOTIENT.divide(self._cost, self._traded) if self._traded else None

    def message(self) -> PlaceOrder:
        """The message that places it."""
        return place_message(
            self.trade_pair,
            self.side,
            amount=self.amount,
            price=self.price,
            time_in_force=self.time_in_force or TimeInForce.GTC,
            ttl=self.ttl,
            client_order_id=self.client_order_id,
        )

    async def wait_acknowledged(self, timeout: float | None = None) -> Self:
        """Wait until the exchange has accepted the order; returns the order. Cancelling forgets the wait alone.

        Raises:
            OrderRejected, ServerError: the exchange refused it.
            RequestNotSent: it never reached the exchange.
            OutcomeUnknown: the link was lost, and whether the order was received is not known by its deadline. Call
                again to wait for the truth.
            RequestTimeout: none of this within *timeout* seconds.
            ConnectionClosed: the client was closed before.
        """
        unknown = self.status is OrderStatus.UNKNOWN  # was so before: who asks again wants to know how it turns out
        await self._wait(lambda: self._is_answered(unknown), timeout, "answered by the exchange")
        if self.acknowledged_ns is None:
            self._raise_error()
        return self

    async def wait_filled(self, timeout: float | None = None) -> Self:
        """Wait until the order is filled whole; returns the order. Cancelling forgets the wait alone.

        Raises:
            OrderNotFilled: it was cancelled, expired, or its end is not known.
            OrderRejected, ServerError, RequestNotSent: it was never accepted.
            RequestTimeout: none of this within *timeout* seconds.
            ConnectionClosed: the client was closed before.
        """
        await self._wait(lambda: self.is_closed, timeout, "filled")
        if self.status is not OrderStatus.FILLED:
            if self.acknowledged_ns is None:
                self._raise_error()
            raise OrderNotFilled(f"{self!r} is {self.status.value}, {plain(self.remaining)} of it not filled")
        return self

    async def wait_closed(self, timeout: float | None = None) -> Self:
        """Wait until nothing more will happen to the order, whatever its end; returns the order.

        Look at :attr:`status` for how it ended. Cancelling forgets the wait alone.

        Raises:
            RequestTimeout: it goes on after *timeout* seconds.
            ConnectionClosed: the client was closed before.
        """
        await self._wait(lambda: self.is_closed, timeout, "closed")
        return self

    def add_trade(self, trade: OwnTrade) -> None:
        """Count an execution in; called by the order table, once for each."""
        self.trades.append(trade)
        if self.terms_known:
            remaining = _subtract(self.remaining, trade.amount)
            self.remaining = _ZERO if remaining.is_signed() else remaining
        else:
            self.set_remaining(self.remaining)

    def set_remaining(self, remaining: Decimal) -> None:
        """Take over how much is left; called by the order table."""
        self.remaining = remaining
        if not self.terms_known:
            self._count_trades()
            self.amount = _add(self._traded, remaining)

    def add_fee(self, fee: Decimal) -> None:
        """Count a fee in; called by the order table."""
        self.fees = _add(self.fees, fee)

    def wake(self) -> None:
        """Let those who wait look again; called by the order table after each change of the status."""
        waiters, self.waiters = self.waiters or [], None
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def end(self, error: Exception) -> None:
        """No more is heard of it; called by the order table. Those who wait, now or later, get a copy of *error*."""
        self._ended = error
        self.wake()

    def __repr__(self) -> str:
        name = f"order {self.order_id}" if self.order_id is not None else f"order of {self.client_order_id}"
        return (
            f"<{name}: {self.side.value} {plain(self.amount)} {self.trade_pair} at {plain(self.price)}, "
            f"{self.status.value}, {plain(self.filled)} filled>"
        )

    def _count_trades(self) -> None:
        """Add up the trades that were not added up yet: when somebody asks, for most never do."""
        for trade in self.trades[self._counted :]:
            self._cost = _add(self._cost, _multiply(trade.price, trade.amount))
            self._traded = _add(self._traded, trade.amount)
        self._counted = len(self.trades)

    def _is_answered(self, unknown_before: bool) -> bool:
        if self.acknowledged_ns is not None:
            return True
        if self.status is OrderStatus.UNKNOWN and not self.is_closed:
            return not unknown_before
        return self.status in _ENDED_UNPLACED

    def _raise_error(self) -> None:
        error = self.error or OutcomeUnknown(f"what became of {self!r} is not known")
        # A copy for each: an exception that is raised twice collects the tracebacks, and so the variables, of both.
        raise copy.copy(error)

    async def _wait(self, reached: Callable[[], bool], timeout: float | None, what: str) -> None:
        if reached():
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                while not reached():
                    if self._ended is not None:
                        raise copy.copy(self._ended)
                    waiter: asyncio.Future[None] = loop.create_future()
                    if self.waiters is None:
                        self.waiters = []
                    self.waiters.append(waiter)
                    try:
                        await waiter
                    finally:
                        if self.waiters and waiter in self.waiters:
                            self.waiters.remove(waiter)
        except TimeoutError:
            if not reached():
                raise RequestTimeout(f"{self!r} was not {what} within {timeout} s") from None
