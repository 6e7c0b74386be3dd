"""What calls ask for, as messages: orders and cancels are checked, numbered and given to order entry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from msgspec import structs

from ..exceptions import OrderInvalid, OrderNotOpen, OrderRejected
from ..messages import (
    AmountLike,
    CancelAllOrders,
    CancelOrder,
    Side,
    TimeInForce,
    check_id,
    encode,
    place_message,
)
from .account import Order, OrderTable
from .order_ids import ClientOrderIds
from .outcomes import Kind, Pending
from .submission import Submission

__all__ = ["OrderCalls", "Sender", "SessionLink"]


class SessionLink(Protocol):
    """Says when there is a session with the exchange."""

    async def live_by(self, deadline: float, *, wait: bool) -> object:
        """Wait for it, at most until the loop time *deadline*."""


class Sender(Protocol):
    """Sends messages and settles them."""

    async def submit(self, submission: Submission, *, wait: bool) -> None:
        """See :meth:`OrderEntry.submit <cryptoproto.client.order_entry.OrderEntry.submit>`."""


class OrderCalls:
    """Makes messages of what callers ask for, and waits for the outcome of cancels.

    Args:
        link: which connection there is.
        orders: all known orders.
        order_entry: sends messages and settles them.
        resend: whether a message that the exchange has not received is sent again, unless a call says otherwise.
        order_ids: returns the next client order id; ``None``: unique ones.

    Attributes:
        cancel_alls: how often :meth:`cancel_all` was called.
    """

    def __init__(
        self,
        link: SessionLink,
        orders: OrderTable,
        order_entry: Sender,
        *,
        resend: bool,
        order_ids: Callable[[], int] | None,
    ) -> None:
        self.cancel_alls: int = 0
        self._link = link
        self._orders = orders
        self._order_entry = order_entry
        self._resend = resend
        self._next_id = order_ids or ClientOrderIds().next
        self._loop = asyncio.get_running_loop()

    def draft(
        self,
        trade_pair: str,
        side: Side | str,
        *,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce | str,
        ttl: int,
        client_order_id: int | None,
        timeout: float,
        resend: str | None,
    ) -> tuple[Order, Submission]:
        """An order that was checked, and its message; :meth:`OrderEntry.submit` sends it.

        Raises:
            OrderInvalid: the order can never be valid.
        """
        number = self._next_id() if client_order_id is None else client_order_id
        message = place_message(
            trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl, client_order_id=number
        )
        order = Order.of(message)
        return order, Submission(
            Pending(kind=Kind.PLACE, client_order_id=number),
            encode(message),
            self._loop.create_future(),
            order=order,
            deadline=self._loop.time() + timeout,
            resend=self._resend if resend is None else resend == "once",
        )

    def renewed(self, submission: Submission, timeout: float, resend: str | None) -> Submission:
        """The message of an order that was drafted a while ago and kept signed, to be sent from now on."""
        return structs.replace(
            submission,
            answer=self._loop.create_future(),
            deadline=self._loop.time() + timeout,
            resend=self._resend if resend is None else resend == "once",
            is_prepared=True,
        )

    def draft_cancel(self, order_id: int, timeout: float) -> Submission:
        """The message that cancels an order."""
        return self._draft(Pending(kind=Kind.CANCEL, order_id=order_id), CancelOrder(order_id), timeout)

    async def cancel(
        self, order: Order | int | None, order_id: int | None, client_order_id: int | None, timeout: float, wait: bool
    ) -> bool:
        """Cancel one order, given in one of three ways; returns whether there was something to cancel."""
        given = [each for each in (order, order_id, client_order_id) if each is not None]
        if len(given) != 1:
            raise OrderInvalid(
                f"cancel() takes one of order, order_id and client_order_id, and {len(given) or 'none'} were given; "
                f"use cancel_all() to cancel everything"
            )
        deadline = self._loop.time() + timeout
        if client_order_id is not None:
            order = await self._find(check_id(client_order_id, "client_order_id"), deadline, wait)
            if order is None:
                return False
        number = order_id_of(order) if isinstance(order, Order) else check_id(given[0], "order_id")
        try:
            await self._order_entry.submit(self.draft_cancel(number, deadline - self._loop.time()), wait=wait)
        except OrderNotOpen:
            return False
        return True

    async def cancel_all(self, timeout: float, wait: bool) -> None:
        """Cancel every open order."""
        self.cancel_alls += 1
        await self._order_entry.submit(
            self._draft(Pending(kind=Kind.CANCEL_ALL), CancelAllOrders(), timeout), wait=wait
        )

    async def _find(self, client_order_id: int, deadline: float, wait: bool) -> Order | None:
        order = self._orders.by_client_order_id(client_order_id)
        if order is None:
            await self._link.live_by(deadline, wait=wait)  # every open order is known then
            order = self._orders.by_client_order_id(client_order_id)
        return order

    def _draft(self, pending: Pending, message: CancelOrder | CancelAllOrders, timeout: float) -> Submission:
        return Submission(
            pending,
            encode(message),
            self._loop.create_future(),
            deadline=self._loop.time() + timeout,
            resend=self._resend,
        )


def order_id_of(order: Order) -> int:
    """The id that the exchange assigned to *order*.

    Raises:
        OrderRejected: it has none.
    """
    if order.order_id is None:
        raise OrderRejected(f"{order!r} has no order id: the exchange has not accepted it")
    return order.order_id
