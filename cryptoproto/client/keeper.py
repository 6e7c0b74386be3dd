"""Keeps a connection: opens one, resumes, waits for its end, and opens the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ..exceptions import ConnectionClosed, CryptoprotoError, RequestNotSent
from .backoff import Backoff
from .connection import Connection
from .outcomes import never_sent
from .states import State, StateChange, reaction_to
from .subscription import Channel, Subscription

__all__ = ["Keeper"]

logger = logging.getLogger("cryptoproto.client")

_CLOSE_TIMEOUT_S: Final = 5.0


class Keeper:
    """Runs through the states of :class:`~cryptoproto.State` until it is closed or must not go on.

    Args:
        open_connection: opens a connection that resumes where the last one ended.
        resume: called with each new connection; returns how many events were replayed once all is known.
        on_down: called with what ended a connection, or kept one from opening; true where one had been open.
        backoff: how long to wait between attempts.
    """

    def __init__(
        self,
        open_connection: Callable[[], Awaitable[Connection]],
        resume: Callable[[Connection], Awaitable[int]],
        on_down: Callable[[CryptoprotoError, bool], Awaitable[None]],
        backoff: Backoff,
    ) -> None:
        self.state = StateChange(State.CONNECTING, "starting")
        self.connection: Connection | None = None
        self.error: CryptoprotoError | None = None
        self._open_connection = open_connection
        self._resume = resume
        self._on_down = on_down
        self._backoff = backoff
        self._states: Channel[StateChange] = Channel()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="cryptoproto-keeper")

    def states(self) -> Subscription[StateChange]:
        """The state now, and every change from here on."""
        return self._states.subscribe(self.state)

    async def settled(self) -> None:
        """Wait until the first attempt has ended, well or not."""
        while self.state.state in (State.CONNECTING, State.RESUMING):
            await self._next_change()

    async def live(self, *, wait: bool) -> Connection:
        """The connection, once everything is known.

        Raises:
            RequestNotSent: it is not there and *wait* is false, or it will not come any more.
        """
        while True:
            if self.state.state is State.LIVE and self.connection is not None:
                return self.connection
            if self.state.state is State.CLOSED:
                raise self._not_sent(f"the client is closed: {self.state.reason}")
            if not wait:
                raise self._not_sent(f"not connected: {self.state.reason}")
            await self._next_change()

    async def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """Close the connection and end; within *timeout* seconds even where the exchange is silent."""
        task, self._task = self._task, None
        if task is None:
            return
        connection = self.connection
        if connection is not None:
            await connection.close(timeout)
        task.cancel()
        await asyncio.wait([task])
        self._enter(StateChange(State.CLOSED, "closed by this end", error=self.error))
        self._states.end()

    def _not_sent(self, reason: str) -> RequestNotSent:
        error = never_sent(reason)
        error.__cause__ = self.state.error
        return error

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _enter(self, change: StateChange) -> None:
        if self.state.state is State.CLOSED:
            return
        self.state = change
        logger.info("%s: %s", change.state.value, change.reason)
        self._changed.set()
        self._states.publish(change)

    async def _run(self) -> None:
        while True:
            error, was_open = await self._one_connection()
            await self._on_down(error, was_open)
            reaction = reaction_to(error)
            if reaction.stop or self.error is not None:
                self.error = self.error or error
                self._enter(StateChange(State.CLOSED, str(self.error), error=self.error))
                self._states.end()
                return
            delay = max(self._backoff.next_delay(), reaction.least_delay_s)
            attempt = self._backoff.attempts
            self._enter(StateChange(State.WAITING, str(error), attempt=attempt, delay_s=delay, error=error))
            await asyncio.sleep(delay)

    async def _one_connection(self) -> tuple[CryptoprotoError, bool]:
        """Open a connection and stay with it until it ends; what ended it."""
        self._enter(StateChange(State.CONNECTING, "connecting", attempt=self._backoff.attempts))
        try:
            connection = await self._open_connection()
        except CryptoprotoError as error:
            return error, False
        self.connection = connection
        failure: CryptoprotoError | None = None
        try:
            self._enter(StateChange(State.RESUMING, "connected", attempt=self._backoff.attempts))
            replayed = await self._resume(connection)
            self._backoff.reset()
            self._enter(StateChange(State.LIVE, "everything is known", replayed=replayed))
            await connection.wait_closed()
        except CryptoprotoError as error:
            failure = error
        finally:
            self.connection = None
            await connection.close()
        return connection.error or failure or ConnectionClosed(1000, "closed by this end"), True
