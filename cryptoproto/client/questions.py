"""Questions to the exchange: requests that wait for a connection and end by their deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ..connection import Connection
from ..exceptions import RequestTimeout
from ..messages import (
    Balance,
    Message,
    Outgoing,
    Unknown,
    UserBalanceRequest,
    UserBalanceResponse,
    UserOrdersRequest,
)
from .account import Account, Order
from .link import Link
from .metrics import Metrics
from .reservation import Reservations

__all__ = ["Questions", "ask_patiently"]


class Questions:
    """Asks the exchange; :class:`~cryptoproto.Client` says what each method raises.

    Args:
        link: which connection there is.
        account: the tables of orders and balances.
        metrics: counters and durations.
        timeout: seconds for a request that is given no timeout.
        reservations: which sequences a request may not take.
    """

    def __init__(
        self, link: Link, account: Account, metrics: Metrics, timeout: float, reservations: Reservations
    ) -> None:
        self._reservations = reservations
        self._link = link
        self._account = account
        self._metrics = metrics
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()

    async def request(self, message: Outgoing, timeout: float | None, wait: bool) -> Message | Unknown:
        """The response to any request."""
        deadline = self._loop.time() + (self._timeout if timeout is None else timeout)
        connection: Connection = self._link.live() or await self._link.live_by(deadline, wait=wait)
        self._metrics.count("requests")
        started = time.perf_counter_ns()
        remaining = max(deadline - self._loop.time(), 0.0)
        if self._reservations.are_needed:
            found: list[Message | Unknown] = []
            await self._reservations.request_at(connection, message, found.append, remaining)
            (response,) = found
        else:
            response = await connection.request(message, timeout=remaining)
        self._metrics.request_round_trip.record(time.perf_counter_ns() - started)
        return response

    async def balances(self, timeout: float | None, wait: bool) -> dict[str, Balance]:
        """All balances, by currency."""
        response = await self.request(UserBalanceRequest(), timeout, wait)
        return response.balances if isinstance(response, UserBalanceResponse) else {}

    async def open_orders(self, timeout: float | None, wait: bool) -> list[Order]:
        """The open orders, after every event about them has been received."""
        await self.request(UserOrdersRequest(), timeout, wait)
        return self._account.orders.open


async def ask_patiently(
    connection: Connection, account: Account, question: Outgoing, at: Callable[[Message | Unknown], None]
) -> None:
    """Ask, and go on waiting while events come: a long history is replayed before the response.

    Args:
        connection: where to ask.
        account: counts the events.
        question: the request.
        at: called with the response; see :meth:`Connection.request_at <cryptoproto.Connection.request_at>`.
    """
    while True:
        received = account.heard
        try:
            await connection.request_at(question, at)
        except RequestTimeout:
            if account.heard == received:
                raise
        else:
            return
