"""One order as this process knows it: its terms, its status, and milestones to wait for."""

from __future__ import annotations

import asyncio
import copy
import enum
import time
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any, Final, Self

from ...exceptions import OrderInvalid, OrderNotFilled, OutcomeUnknown, RequestTimeout
from ...messages import (
    EXACT,
    AmountLike,
    OwnTrade,
    PlaceOrder,
    Side,
    TimeInForce,
    check_id,
    exact,
    place_message,
    plain,
    plain_values,
    to_side,
    to_time_in_force,
)
from ...messages.terms import TERMS

__all__ = ["Order", "OrderStatus"]

_add: Final = EXACT.add
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply
# A quotient may have no end. Forty digits are twelve more than Python's default.
_QUOTIENT: Final = Context(prec=40, traps=[])
_ZERO: Final = Decimal(0)


class OrderStatus(enum.StrEnum):
    """The status of an order."""

    PENDING = "pending"
    """Sent, or waiting to be sent; the exchange has not answered."""
    OPEN = "open"
    """Accepted by the exchange, and not closed."""
    FILLED = "filled"
    """Completely filled."""
    CANCELLED = "cancelled"
    """Cancelled, expired, or not meant to rest; a part of it may have been filled."""
    REJECTED = "rejected"
    """Rejected by the exchange; :attr:`Order.error` says why."""
    NOT_SENT = "not_sent"
    """It never reached the exchange."""
    UNKNOWN = "unknown"
    """Not known, because the connection was lost. It changes to another status once the exchange reports the outcome.

    An order that was open, and is missing from the exchange's list of open orders, is closed with this status.
    """


_ENDED_UNPLACED: Final = frozenset((OrderStatus.REJECTED, OrderStatus.NOT_SENT, OrderStatus.UNKNOWN))

_SHOWN: Final = (
    "client_order_id", "order_id", "trade_pair", "side", "time_in_force", "amount", "price", "ttl", "terms_known",
    "status", "remaining", "filled", "average_price", "fees", "error", "created_ns", "acknowledged_ns", "closed_ns",
    "changed_by", "replaces", "replaced_by", "trades",
)  # fmt: skip
"""What an order is as a dict, in the order of columns."""


class Order:
    """One order, kept up to date by the client. Read its attributes, do not set them.

    Everything is as of the last event that the client has received. Nothing is rounded.

    Attributes:
        client_order_id: the client's own number for it; ``None`` if it was placed elsewhere without one.
        order_id: the number that the exchange assigned; ``None`` until it is known.
        trade_pair: base and quote currency.
        side: buy or sell.
        time_in_force: ``None`` if it was placed elsewhere, because no event contains it.
        amount: how much of the base currency was ordered.
        price: the limit.
        ttl: seconds until the exchange cancels it, 0 = never; also 0 if it was placed elsewhere.
        terms_known: whether *amount* and *price* are those of the order. They are not if the order was placed before
            the position that the client resumed from. Until it is compared with the exchange's list, its price is 0,
            and its amount is the sum of what is left and the fills that were received.
        status: see :class:`OrderStatus`.
        remaining: how much is not filled; for a cancelled order, how much was never filled.
        fees: what was charged, in the currency received: base for a buyer, quote for a seller.
        trades: its fills, oldest first.
        error: why it was rejected or not sent, or that its outcome is unknown; ``None`` otherwise.
        created_ns: when it was created here, in unix nanoseconds.
        acknowledged_ns: when the event or response that it was accepted was received; ``None`` until then.
        closed_ns: when the event or response that it was closed was received; ``None`` until then.
        changed_by: the transaction id of the last event about it, -1 before the first.
        replaces: the client order id of the order that it was sent to replace; ``None`` for most orders.
        replaced_by: the client order id of the order that was sent to replace it; its status says what became of that.
            Both are known in the process that called :meth:`~cryptoproto.Client.replace`.
        waiters: the futures of callers that wait for its status to change; for the order table.
    """

    # Most orders never change most of these. As class attributes they cost nothing when an event creates an order.
    order_id: int | None = None
    time_in_force: TimeInForce | None = None
    ttl: int = 0
    terms_known: bool = True
    fees: Decimal = _ZERO
    error: Exception | None = None
    acknowledged_ns: int | None = None
    closed_ns: int | None = None
    changed_by: int = -1
    replaces: int | None = None
    replaced_by: int | None = None
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
        side: Side | str,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        ttl: int = 0,
        created_ns: int | None = None,
    ) -> None:
        self.client_order_id: int | None = (
            None if client_order_id is None else check_id(client_order_id, "client_order_id")
        )
        self.trade_pair = trade_pair
        self.side: Side = to_side(side)
        self.time_in_force = to_time_in_force(time_in_force)
        self.amount: Decimal = exact(amount, "amount", OrderInvalid)
        self.remaining: Decimal = self.amount
        self.price: Decimal = exact(price, "price", OrderInvalid)
        self.ttl = ttl
        self.status: OrderStatus = OrderStatus.PENDING
        self.trades: list[OwnTrade] = []
        self.created_ns: int = time.time_ns() if created_ns is None else created_ns

    @classmethod
    def of(cls, message: PlaceOrder, *, created_ns: int | None = None) -> Self:
        """The order that *message* places."""
        side, time_in_force = TERMS[type(message)]
        order = cls.__new__(cls)  # without __init__(): the message has validated everything
        order.client_order_id = message.client_order_id
        order.trade_pair = message.trade_pair
        order.side = side
        order.time_in_force = time_in_force
        amount: Any = message.amount  # a Decimal, whatever it was created from
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
        """An order that this process did not place and the exchange has accepted. Its terms are set later."""
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
        """Whether the exchange has accepted it and it is not closed."""
        return self.status is OrderStatus.OPEN

    @property
    def is_closed(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.closed_ns is not None

    @property
    def filled(self) -> Decimal:
        """How much is filled."""
        return _subtract(self.amount, self.remaining)

    @property
    def average_price(self) -> Decimal | None:
        """The mean price of :attr:`trades`, weighted by amount, to forty digits; ``None`` before the first trade."""
        self._count_trades()
        return _QUOTIENT.divide(self._cost, self._traded) if self._traded else None

    def as_dict(self) -> dict[str, Any]:
        """Its attributes, ``filled`` and ``average_price`` as plain values, for JSON and data frames.

        Amounts and prices are strings of plain digits, enums their values, and trades dicts.
        """
        return {name: plain_values(getattr(self, name)) for name in _SHOWN}

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
        """Wait until the exchange has accepted the order; returns the order. Cancelling ends only the wait.

        Raises:
            OrderRejected, ServerError: the exchange rejected it.
            RequestNotSent: it never reached the exchange.
            OutcomeUnknown: the connection was lost, and by the deadline it was not known whether the exchange had
                received the order. Call again to wait for the outcome.
            RequestTimeout: nothing of this happened within *timeout* seconds.
            ConnectionClosed: the client was closed first.
        """
        unknown = self.status is OrderStatus.UNKNOWN  # a caller who knows that waits for the outcome
        await self._wait(lambda: self._is_answered(unknown), timeout, "answered by the exchange")
        if self.acknowledged_ns is None:
            self._raise_error()
        return self

    async def wait_filled(self, timeout: float | None = None) -> Self:
        """Wait until the order is completely filled; returns the order. Cancelling ends only the wait.

        Raises:
            OrderNotFilled: it was cancelled, it expired, or how it ended is not known.
            OrderRejected, ServerError, RequestNotSent: it was never accepted.
            RequestTimeout: nothing of this happened within *timeout* seconds.
            ConnectionClosed: the client was closed first.
        """
        await self._wait(lambda: self.is_closed, timeout, "filled")
        if self.status is not OrderStatus.FILLED:
            if self.acknowledged_ns is None:
                self._raise_error()
            raise OrderNotFilled(f"{self!r} is {self.status.value}, {plain(self.remaining)} of it not filled")
        return self

    async def wait_closed(self, timeout: float | None = None) -> Self:
        """Wait until the order has ended, in whatever way; returns the order.

        :attr:`status` says how it ended. Cancelling ends only the wait.

        Raises:
            RequestTimeout: it has not ended within *timeout* seconds.
            ConnectionClosed: the client was closed first.
        """
        await self._wait(lambda: self.is_closed, timeout, "closed")
        return self

    def add_trade(self, trade: OwnTrade) -> None:
        """Add a fill; called by the order table, once for each."""
        self.trades.append(trade)
        if self.terms_known:
            remaining = _subtract(self.remaining, trade.amount)
            self.remaining = _ZERO if remaining.is_signed() else remaining
        else:
            self.set_remaining(self.remaining)

    def set_remaining(self, remaining: Decimal) -> None:
        """Set how much is left; called by the order table."""
        self.remaining = remaining
        if not self.terms_known:
            self._count_trades()
            self.amount = _add(self._traded, remaining)

    def add_fee(self, fee: Decimal) -> None:
        """Add a fee; called by the order table."""
        self.fees = _add(self.fees, fee)

    def mark_replaced(self, new: Order | None) -> None:
        """*new* is sent to replace it; ``None``: the new order was not sent. Called by the client."""
        self.replaced_by = None if new is None else new.client_order_id
        if new is not None:
            new.replaces = self.client_order_id

    def wake(self) -> None:
        """Wake all callers that wait; called by the order table after each change of the status."""
        waiters, self.waiters = self.waiters or [], None
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def end(self, error: Exception) -> None:
        """No more events come; called by the order table. Present and future waits raise a copy of *error*."""
        self._ended = error
        self.wake()

    def __repr__(self) -> str:
        name = f"order {self.order_id}" if self.order_id is not None else f"order of {self.client_order_id}"
        return (
            f"<{name}: {self.side.value} {plain(self.amount)} {self.trade_pair} at {plain(self.price)}, "
            f"{self.status.value}, {plain(self.filled)} filled>"
        )

    def _count_trades(self) -> None:
        """Add up the new trades. This is done on demand, because few programs ask."""
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
        error = self.error or OutcomeUnknown(f"the outcome of {self!r} is not known")
        # A copy for each: an exception that is raised twice keeps the tracebacks, and so the variables, of both.
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
                raise RequestTimeout(f"{self!r} was not {what} within {timeout:g} s") from None
