"""Cancelling what is open before a client closes."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ..exceptions import ClientClosed, CryptoprotoError, RequestNotSent
from .account import Order, OrderTable
from .order_calls import OrderCalls
from .order_entry import OrderEntry
from .reconnector import Reconnector

__all__ = ["CancelOnExit"]

_SHOWN: Final = 10
"""How many orders a warning names."""
_SENDING: Final = 0.9
"""The part of the time in which the cancel has to be sent: if it cannot be sent, the reason is known by then."""
_SHORTEST_S: Final = 0.001
"""With less time than this, nothing is sent again. A timer may fire a little before its time, so some is left then."""

logger: logging.Logger = logging.getLogger("cryptoproto.client")


class CancelOnExit:
    """Cancels every open order, within the time that closing may take.

    Args:
        orders: all known orders.
        order_entry: stops sending orders.
        calls: cancels.
        reconnector: connects at once if it waits between attempts.
        enabled: if false, nothing is done.

    Attributes:
        left_open: the orders that are or may be still open, once the client is closed.
    """

    def __init__(
        self,
        orders: OrderTable,
        order_entry: OrderEntry,
        calls: OrderCalls,
        reconnector: Reconnector,
        *,
        enabled: bool,
    ) -> None:
        self.left_open: list[Order] = []
        self._orders = orders
        self._order_entry = order_entry
        self._calls = calls
        self._reconnector = reconnector
        self._is_due = enabled
        self._failure = "there was no time for it"

    async def cancel(self, timeout: float) -> None:
        """Cancel what is or may be open, and wait for that at most *timeout* seconds. Raises nothing of its own."""
        if not self._is_due:
            return
        self._order_entry.refuse_orders()  # first, so that nothing is placed behind the cancel
        if self._orders.compared and not self._not_closed():
            return
        self._reconnector.reconnect_now()
        try:
            async with asyncio.timeout(timeout):
                await self._cancel_until(asyncio.get_running_loop().time() + timeout * _SENDING)
        except TimeoutError:
            self._failure = f"the exchange did not answer within {timeout:g} s"
        except CryptoprotoError as error:
            self._failure = str(error)

    async def _cancel_until(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._calls.cancel_all(deadline - loop.time(), wait=True)
            except RequestNotSent as error:
                # A lost link: the next one takes the message, whatever `resend` says of orders.
                if isinstance(error, ClientClosed) or deadline - loop.time() < _SHORTEST_S:
                    raise

    def finish(self) -> None:
        """The client is closed: say what could not be cancelled."""
        if not self._is_due:
            return
        self._is_due = False
        self.left_open = self._not_closed()
        if not self._orders.compared:
            logger.warning(
                "orders of earlier processes may be still open after closing, because %s: the exchange never listed "
                "them to this client",
                self._failure,
            )
        if self.left_open:
            logger.warning(
                "%d orders are or may be still open after closing, because %s: %s",
                len(self.left_open),
                self._failure,
                ", ".join(map(repr, self.left_open[:_SHOWN])),
            )

    def _not_closed(self) -> list[Order]:
        return [order for order in self._orders if not order.is_closed]
