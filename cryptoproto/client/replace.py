"""Replacing an order: cancel it, then place what was left. The protocol has no message for both."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, nullcontext

from ..exceptions import CryptoprotoError, OrderFilled, OrderInvalid, OrderNotOpen, OutcomeUnknown, ReplaceIncomplete
from ..messages import AmountLike, TimeInForce
from .account import Order, OrderStatus, OrderTable
from .link import not_sent
from .order_calls import OrderCalls, Sender, SessionLink, order_id_of
from .order_checks import OrderChecks
from .submission import Submission

__all__ = ["Replacer"]


class Replacer:
    """Replaces orders; :class:`~cryptoproto.Client` says what a caller may rely on.

    Args:
        link: which connection there is.
        orders: all known orders.
        order_entry: sends messages and settles them.
        calls: checks orders and makes messages of them.
        checks: of the client's instruments and limits, if it has any.
    """

    def __init__(
        self,
        link: SessionLink,
        orders: OrderTable,
        order_entry: Sender,
        calls: OrderCalls,
        checks: OrderChecks | None,
    ) -> None:
        self._link = link
        self._orders = orders
        self._order_entry = order_entry
        self._calls = calls
        self._checks = checks
        self._under_way: set[Order] = set()
        self._loop = asyncio.get_running_loop()

    async def replace(
        self,
        order: Order,
        *,
        price: AmountLike | None,
        amount: AmountLike | None,
        ttl: int | None,
        client_order_id: int | None,
        timeout: float,
        wait: bool,
        pipelined: bool,
    ) -> Order:
        """The new order, once the exchange has accepted it."""
        deadline = self._loop.time() + timeout
        if not isinstance(order, Order):
            raise OrderInvalid(f"{order!r:.40} must be an Order; client.orders.get() finds one by its order id")
        if price is None and amount is None and ttl is None:
            raise OrderInvalid(f"replacing {order!r} needs a new price, amount or ttl")
        if not order.terms_known:
            await self._link.live_by(deadline, wait=wait)  # they are known then
        order_id = self._check(order)

        def draft() -> tuple[Order, Submission]:
            return self._calls.draft(
                order.trade_pair,
                order.side,
                amount=order.remaining if amount is None else amount,
                price=order.price if price is None else price,
                time_in_force=order.time_in_force or TimeInForce.GTC,
                ttl=order.ttl if ttl is None else ttl,
                client_order_id=client_order_id,
                timeout=deadline - self._loop.time(),
                resend=None,
            )

        new, placing = draft()
        self._orders.check_unused(new)
        if self._checks is not None:
            await self._checks.ready(new, self._link, deadline, wait=wait)
            order_id = self._check(order)  # it may have ended meanwhile
        cancel = self._calls.draft_cancel(order_id, deadline - self._loop.time())
        self._under_way.add(order)
        try:
            with self._admitted(new, order):
                if pipelined:
                    return await self._at_once(order, cancel, new, placing, wait)
                stops = self._calls.cancel_alls
                error = await self._outcome(cancel, wait)
            if error is not None:
                raise _not_cancelled(order, error)
            if order.remaining != new.amount and amount is None:
                client_order_id = new.client_order_id
                try:
                    new, placing = draft()
                    self._check_rules(new)
                except OrderInvalid as invalid:  # what is left may be less than an order may be for
                    raise _incomplete(order, new, placing, invalid) from invalid
            with self._held(new):
                return await self._place(order, new, placing, wait, stopped=stops != self._calls.cancel_alls)
        finally:
            self._under_way.discard(order)

    def _admitted(self, new: Order, order: Order) -> AbstractContextManager[None]:
        """Check *new* before anything is sent, and count it as open; the limits do not count *order* besides."""
        return nullcontext() if self._checks is None else self._checks.admit(new, instead_of=order)

    def _held(self, new: Order) -> AbstractContextManager[None]:
        """Count *new* as open. It was admitted, or is what is left of an order that was."""
        return nullcontext() if self._checks is None else self._checks.hold(new)

    def _check_rules(self, new: Order) -> None:
        if self._checks is not None:
            self._checks.check_rules(new)

    def _check(self, order: Order) -> int:
        """Whether *order* can be replaced; returns its order id."""
        if order in self._under_way:
            raise OrderInvalid(f"{order!r} is being replaced already; wait for the end of that call")
        if order.is_closed or (order.is_open and not order.remaining):
            raise _not_open(order)
        order_id = order_id_of(order)
        if self._orders.get(order_id) is not order:
            raise OrderInvalid(f"{order!r} is not an order of this client; client.orders.get() finds those that are")
        return order_id

    async def _place(self, order: Order, new: Order, placing: Submission, wait: bool, *, stopped: bool) -> Order:
        """Place *new*, after *order* was cancelled."""
        error: CryptoprotoError | None
        if stopped:
            error = not_sent("cancel_all() was called before the new order was sent")
        elif self._loop.time() >= placing.deadline:
            error = not_sent("the deadline passed before the new order was sent")
        else:
            with _Linked(order, new, placing):
                error = await self._outcome(placing, wait)
        if error is not None:
            raise _incomplete(order, new, placing, error) from error
        return new

    async def _at_once(self, order: Order, cancel: Submission, new: Order, placing: Submission, wait: bool) -> Order:
        """Send both in one go, the cancel first."""
        with _Linked(order, new, placing):
            async with asyncio.TaskGroup() as group:
                cancelling = group.create_task(self._outcome(cancel, wait))
                placed = group.create_task(self._outcome(placing, wait))
        not_cancelled, not_placed = cancelling.result(), placed.result()
        if not_placed is None:
            if not_cancelled is None or isinstance(not_cancelled, OrderNotOpen):
                return new
            both = ReplaceIncomplete(
                f"{new!r} was placed, but {order!r} may still be open: {not_cancelled}", order, new
            )
            both.sent = True
            raise both from not_cancelled
        if not_cancelled is None:
            raise _incomplete(order, new, placing, not_placed) from not_placed
        if isinstance(not_placed, OutcomeUnknown):
            raise not_placed from not_cancelled
        raise _not_cancelled(order, not_cancelled) from not_placed

    async def _outcome(self, submission: Submission, wait: bool) -> CryptoprotoError | None:
        try:
            await self._order_entry.submit(submission, wait=wait)
        except CryptoprotoError as error:
            return error
        return None


class _Linked:
    """While a new order is on its way, and once it was sent, the old one says what replaced it."""

    def __init__(self, order: Order, new: Order, placing: Submission) -> None:
        self._order = order
        self._new = new
        self._placing = placing

    def __enter__(self) -> None:
        self._order.mark_replaced(self._new)

    def __exit__(self, *_: object) -> None:
        if not self._placing.sent_ns:
            self._order.mark_replaced(None)


def _not_open(order: Order) -> OrderNotOpen:
    if order.status is OrderStatus.FILLED or not order.remaining:
        return OrderFilled(f"{order!r} was filled before it could be replaced; nothing was placed", order)
    return OrderNotOpen(f"{order!r} was not open any more when it was to be replaced; nothing was placed", order)


def _not_cancelled(order: Order, error: CryptoprotoError) -> CryptoprotoError:
    return _not_open(order) if isinstance(error, OrderNotOpen) else error


def _incomplete(order: Order, new: Order, placing: Submission, error: CryptoprotoError) -> ReplaceIncomplete:
    what = "it is not known yet whether it was placed" if isinstance(error, OutcomeUnknown) else "it was not placed"
    incomplete = ReplaceIncomplete(
        f"{order!r} is cancelled, but not replaced by {new!r}: {what}: {error}",
        order,
        new if placing.sent_ns else None,
    )
    incomplete.sent = bool(placing.sent_ns)
    return incomplete
