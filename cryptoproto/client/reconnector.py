"""Keeps a connection: opens one, resumes, waits for its end, and opens the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ..connection.connection import Connection
from ..exceptions import ConnectionClosed, CryptoprotoError, RequestNotSent
from ..reconnect.backoff import Backoff
from ..reconnect.state_stream import StateStream
from ..reconnect.subscription import Subscription
from .outcomes import never_sent
from .states import State, StateChange, reaction_to

__all__ = ["Keeper"]

logger = logging.getLogger("cryptoproto.client")

_CLOSE_TIMEOUT_S: Final = 5.0


class Keeper:
    """Runs through the states of :class:`~cryptoproto.State` until it is closed or must not go on.

    Args:
        open_connection: opens a connection that resumes where the last one ended.
        resume: called with each new connection; returns how many events were replayed once all is known.
        on_down: called with what ended a connection, or kept one from opening; true where one had been open.
        on_stop: called with what it must not go on after, before the state is CLOSED.
        backoff: how long to wait between attempts.
    """

    def __init__(
        self,
        open_connection: Callable[[], Awaitable[Connection]],
        resume: Callable[[Connection], Awaitable[int]],
        on_down: Callable[[CryptoprotoError, bool], Awaitable[None]],
        on_stop: Callable[[CryptoprotoError], None],
        backoff: Backoff,
    ) -> None:
        self.connection: Connection | None = None
        self.error: CryptoprotoError | None = None
        self._open_connection = open_connection
        self._resume = resume
        self._on_down = on_down
        self._on_stop = on_stop
        self._backoff = backoff
        self._states = StateStream(StateChange(State.CONNECTING, "starting"))
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> StateChange:
        """The state now."""
        return self._states.current

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="cryptoproto-keeper")

    def states(self) -> Subscription[StateChange]:
        """The state now, and every change from here on."""
        return self._states.subscribe()

    async def settled(self) -> None:
        """Wait until the first attempt has ended, well or not."""
        while self.state.state in (State.CONNECTING, State.RESUMING):
            await self._states.changed()

    async def live(self, *, wait: bool) -> Connection:
        """The connection, once everything is known.

        Raises:
            RequestNotSent: it is not there and *wait* is false, or it will not come any more.
        """
        while True:
            reason = self.state.reason
            if self.state.state is State.LIVE and self.connection is not None:
                if self.connection.is_open:
                    return self.connection
                reason = str(self.connection.error)  # it has ended; the state follows when the link is closed
            if self.state.state is State.CLOSED:
                raise self._not_sent(f"the client is closed: {self.state.reason}")
            if not wait:
                raise self._not_sent(f"not connected: {reason}")
            await self._states.changed()

    async def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """Close the connection and end; within *timeout* seconds even where the exchange is silent. Idempotent."""
        task = self._task
        if task is not None:
            task.cancel()  # first, or it would see the connection end and open the next one
            if self.connection is not None:
                await self.connection.close(timeout)
            await asyncio.wait([task])
        self._enter(StateChange(State.CLOSED, "closed by this end", error=self.error))

    def _not_sent(self, reason: str) -> RequestNotSent:
        error = never_sent(reason)
        error.__cause__ = self.state.error
        return error

    def _enter(self, change: StateChange) -> None:
        if self._states.ended:
            return
        logger.info("%s: %s", change.state.value, change.reason)
        self._states.publish(change, last=change.state is State.CLOSED)

    async def _run(self) -> None:
        try:
            await self._keep()
        except Exception as error:
            # Whatever a store or an opener of the user's raises: nobody else would ever hear of it.
            logger.exception("the client is closed")
            self._stop(ConnectionClosed(None, f"the client is closed by {type(error).__name__}: {error}"), error)

    def _stop(self, error: CryptoprotoError, cause: BaseException | None = None) -> None:
        if cause is not None:
            error.__cause__ = cause
        self.error = error
        self._on_stop(error)
        self._enter(StateChange(State.CLOSED, str(error), error=error))

    async def _keep(self) -> None:
        while True:
            error, was_open = await self._one_connection()
            await self._on_down(error, was_open)
            reaction = reaction_to(error)
            if reaction.stop or self.error is not None:
                self._stop(self.error or error)
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
            try:
                await connection.close()
            finally:
                self.connection = None
        return connection.error or failure or ConnectionClosed(1000, "closed by this end"), True
