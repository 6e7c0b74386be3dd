"""Placing orders: each is checked, made a message of, and given to order entry."""

from __future__ import annotations

from ..messages import AmountLike, Side, TimeInForce
from .account import Order
from .order_calls import OrderCalls, Sender
from .order_checks import OrderChecks
from .submission import Submission

__all__ = ["Placing"]


class Placing:
    """Places orders; :class:`~cryptoproto.Client` says what a caller may rely on.

    Args:
        order_entry: sends messages and settles them.
        calls: makes messages of orders.
        checks: of the client's instruments and limits, if it has any.
    """

    def __init__(self, order_entry: Sender, calls: OrderCalls, checks: OrderChecks | None) -> None:
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
        return await self._submit(order, submission, wait)

    async def _submit(self, order: Order, submission: Submission, wait: bool) -> Order:
        if self._checks is None:
            await self._order_entry.submit(submission, wait=wait)
        else:
            with self._checks.admit(order):
                await self._order_entry.submit(submission, wait=wait)
        return order
