"""Placing orders, at once or prepared: each is checked, made a message of, and given to order entry."""

from __future__ import annotations

from typing import Literal

from ..exceptions import OrderInvalid
from ..messages import AmountLike, Side, TimeInForce
from .account import Order, OrderTable
from .link import Link
from .order_calls import OrderCalls, Sender
from .order_checks import OrderChecks
from .ready_messages import ReadyMessages
from .states import State
from .submission import Submission

__all__ = ["Placing", "PreparedOrder"]


class PreparedOrder:
    """An order that can be sent without waiting for a signature; made by :meth:`Client.prepare`.

    It is signed for the next sequence of the connection. When another message takes that sequence, or the client
    connects again, it is signed again in the background. Before :meth:`place`, neither the exchange nor the store knows
    of it. Until then, it costs a signature of a thread for each message that is sent: :meth:`discard` what is not
    needed.

    Attributes:
        client_order_id: the client order id that it will have.
    """

    def __init__(self, placing: Placing, order: Order, submission: Submission) -> None:
        self.client_order_id: int | None = order.client_order_id
        self._placing = placing
        self._order = order
        self._submission = submission
        self._payload = submission.payload
        self._over: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a connection, and with ``Protocol.SIGNED`` the order is signed for its next sequence."""
        return self._over is None and self._placing.ready.is_signed(self._payload)

    async def wait_ready(self) -> None:
        """Wait until it is signed for the next sequence; returns at once if there is no connection.

        Messages that are being sent are signed first.

        Raises:
            OrderInvalid: it was placed or discarded.
        """
        self._check()
        await self._placing.ready.wait_signed(self._payload)
        self._check()

    async def place(
        self, *, timeout: float = 10.0, wait: bool = True, resend: Literal["never", "once"] | None = None
    ) -> Order:
        """Place it and return it once the exchange has accepted it; as :meth:`Client.place`.

        If it is not signed for the next sequence yet, it is sent as any other order. It stays prepared if the call ends
        before it was sent: it was cancelled, a limit does not allow the order now, or there was no connection.

        Args:
            timeout: seconds for sending the order and waiting for the answer.
            wait: wait for a connection if there is none.
            resend: overrides the client's ``resend`` for this order.

        Raises:
            OrderInvalid: it was placed or discarded, or ``instruments`` or ``limits`` do not allow it now; nothing was
                sent.
            InsufficientFundsError, ServerError, RequestNotSent, ClientClosed, OutcomeUnknown: as :meth:`Client.place`.
        """
        self._check()
        self._over = "placed"  # a second call must not send it again
        submission = self._placing.renewed(self._submission, timeout, resend)
        try:
            await self._placing.submit(self._order, submission, wait)
        finally:
            if submission.is_prepared:  # it was not sent
                self._over = None
        return self._order

    def discard(self) -> None:
        """Forget it; nothing was sent or stored. Does nothing if it was placed or discarded."""
        if self._over is None:
            self._over = "discarded"
            self._placing.ready.remove(self._payload)

    def _check(self) -> None:
        if self._over is not None:
            raise OrderInvalid(f"{self!r} was {self._over} already; prepare() another one")

    def __repr__(self) -> str:
        return f"<PreparedOrder of {self.client_order_id}>"


class Placing:
    """Places orders; :class:`~cryptoproto.Client` says what a caller may rely on.

    Args:
        link: which connection there is.
        orders: all known orders.
        order_entry: sends messages and settles them.
        calls: makes messages of orders.
        checks: of the client's instruments and limits, if it has any.
        ready: has messages signed ahead.
    """

    def __init__(
        self,
        link: Link,
        orders: OrderTable,
        order_entry: Sender,
        calls: OrderCalls,
        checks: OrderChecks | None,
        ready: ReadyMessages,
    ) -> None:
        self.ready = ready
        self._link = link
        self._orders = orders
        self._order_entry = order_entry
        self._calls = calls
        self._checks = checks

    async def place(
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
        wait: bool,
        resend: str | None,
    ) -> Order:
        """The order, once the exchange has accepted it."""
        order, submission = self._calls.draft(
            trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl,
            client_order_id=client_order_id, timeout=timeout, resend=resend,
        )  # fmt: skip
        if self._checks is None:  # as submit(), without its call
            await self._order_entry.submit(submission, wait=wait)
        else:
            await self.submit(order, submission, wait)
        return order

    async def prepare(
        self,
        trade_pair: str,
        side: Side | str,
        *,
        amount: AmountLike,
        price: AmountLike,
        time_in_force: TimeInForce | str,
        ttl: int,
        client_order_id: int | None,
    ) -> PreparedOrder:
        """The order, once it is signed for the next sequence."""
        if self._link.state.state is State.CLOSED:
            raise self._link.closed()
        order, submission = self._calls.draft(
            trade_pair, side, amount=amount, price=price, time_in_force=time_in_force, ttl=ttl,
            client_order_id=client_order_id, timeout=0.0, resend=None,
        )  # fmt: skip
        self._orders.check_unused(order)
        if self._checks is not None:
            self._checks.check(order)
        self.ready.add(submission.payload)
        prepared = PreparedOrder(self, order, submission)
        try:
            await prepared.wait_ready()
        except BaseException:  # a cancelled call, above all: nobody else could discard it
            prepared.discard()
            raise
        return prepared

    # What a prepared order needs

    def renewed(self, submission: Submission, timeout: float, resend: str | None) -> Submission:
        """The message of a prepared order that is about to be placed."""
        return self._calls.renewed(submission, timeout, resend)

    async def submit(self, order: Order, submission: Submission, wait: bool) -> None:
        """Check an order, send it and wait for its outcome."""
        if self._checks is None:
            await self._order_entry.submit(submission, wait=wait)
        else:
            await self._checks.ready(order, self._link, submission.deadline, wait=wait)
            with self._checks.admit(order):
                await self._order_entry.submit(submission, wait=wait)
