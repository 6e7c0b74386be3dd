"""Kills strategies: nothing new is placed for them, and what is open is cancelled, also by later owners."""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import Final

from ...client import Client, State
from ...client.account import Order
from ...exceptions import ConfigurationError, CryptoprotoError, OutcomeUnknown
from ..strategy_ids import strategy_number
from .command import CURRENT, Command
from .log_store import LogStore
from .strategies import Strategies

__all__ = ["KillSwitch"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_ACKNOWLEDGED_S: Final = 2.0
"""How long an order that is on its way may take until it can be cancelled."""


class KillSwitch:
    """Kills and revives strategies for operators.

    A killed strategy is written down before its orders are cancelled. If this process dies in between, or the exchange
    cannot be reached, its orders are cancelled as soon as an owner has a live session.

    Args:
        client: the session with the exchange.
        store: keeps the outcomes of the cancels.
        strategies: says who is killed.
    """

    def __init__(self, client: Client, store: LogStore, strategies: Strategies) -> None:
        self._client = client
        self._store = store
        self._strategies = strategies
        self._lock = asyncio.Lock()  # a kill right after a takeover meets run(); each order is cancelled once

    async def kill(self, name: str) -> tuple[int, int]:
        """Kill a strategy; returns how many of its orders were cancelled, and how many may still be open.

        Raises:
            ConfigurationError: there is no such strategy.
            GatewayError: it cannot be written down.
        """
        number = self._number(name)
        await self._strategies.set_killed(name, is_killed=True)  # first, so that nothing new is placed
        logger.warning("strategy %s was killed by an operator; its open orders are cancelled", name)
        return await self._cancel_all(name, number)

    async def revive(self, name: str) -> None:
        """Accept the orders of a strategy again; raises as :meth:`kill`."""
        self._number(name)
        await self._strategies.set_killed(name, is_killed=False)
        logger.warning("strategy %s was revived by an operator", name)

    async def run(self) -> None:
        """Whenever the session is live, cancel what killed strategies have open. Ends with the client."""
        async for change in self._client.states():
            if change.state is State.LIVE:
                killed = {name: each.number for name, each in self._strategies.all().items() if each.is_killed}
                await asyncio.gather(*(self._cancel_all(name, number) for name, number in killed.items()))

    def _number(self, name: str) -> int:
        known = self._strategies.get(name)
        if known is None:
            names = ", ".join(sorted(self._strategies.all())) or "none"
            raise ConfigurationError(f"there is no strategy {name!r}; known are: {names}")
        return known.number

    async def _cancel_all(self, name: str, number: int) -> tuple[int, int]:
        async with self._lock:
            own = [each for each in self._client.orders.unfinished if strategy_number(each.client_order_id) == number]
            results = [each for each in await asyncio.gather(*(self._cancel(order, name) for order in own)) if each]
        cancelled = results.count("cancelled")
        return cancelled, len(results) - cancelled

    async def _may_be_open(self, order: Order) -> bool:
        """Whether an order has not ended; one that is on its way gets a moment to arrive."""
        if not order.is_open:
            with suppress(CryptoprotoError):
                await order.wait_acknowledged(_ACKNOWLEDGED_S)
        return not order.is_closed

    async def _cancel(self, order: Order, name: str) -> str:
        """Cancel an order; the result is empty if there was nothing to cancel."""
        if not await self._may_be_open(order):
            return ""
        command = Command(secrets.token_hex(16), name)
        CURRENT.set(command)
        failure: CryptoprotoError | None = None
        try:
            await self._client.cancel(order, wait=False)  # without a session, run() does it in the next one
        except CryptoprotoError as error:
            failure = error
        if not isinstance(failure, OutcomeUnknown):
            self._store.answer(command, failure)
        if failure is None:
            return "cancelled"
        if order.is_closed:  # filled, or cancelled by the strategy, meanwhile
            return ""
        logger.error("%r of strategy %s may still be open: %s", order, name, failure)
        return "open"
