"""Keeps the client connected: opens a connection, resumes, waits for its end, and opens the next."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec

from ..connection import Connection, ConnectOptions
from ..connection.options import default_throttle
from ..exceptions import (
    ConcurrentConnection,
    ConnectionClosed,
    CryptoprotoError,
    InvalidKey,
    OpenTimeout,
    ServerRestart,
)
from ..identity_lock import IdentityLock
from ..reconnect import Backoff
from ..reconnect.reachability import announce, watch
from .event_stream import EventDelivery
from .link import Link
from .metrics import Metrics
from .order_entry import OrderEntry
from .states import Reaction, State, StateChange, reaction_to

__all__ = ["Reconnector"]

_RESTART_S: Final = 10.0
"""For how long after an announced restart (1012) attempts follow each other quickly."""

logger: logging.Logger = logging.getLogger("cryptoproto.client")


class Reconnector:
    """Runs through the states of :class:`~cryptoproto.State` until it is closed or must not go on.

    Args:
        options: how to connect.
        link: what it attaches connections to, and enters states in.
        events: where the events of each connection go.
        order_entry: finds out what became of everything, after each resume.
        metrics: counts connections.
        backoff: how long to wait between attempts.

    Attributes:
        error: what it must not go on after; ``None`` until then, and after :meth:`close`.
    """

    def __init__(
        self,
        options: ConnectOptions,
        link: Link,
        events: EventDelivery,
        order_entry: OrderEntry,
        metrics: Metrics,
        backoff: Backoff,
    ) -> None:
        self.error: CryptoprotoError | None = None
        self._options = options
        self._link = link
        self._events = events
        self._order_entry = order_entry
        self._metrics = metrics
        self._backoff = backoff
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._identity = IdentityLock(options.client_id, options.server_key.fingerprint)
        self._wake = asyncio.Event()
        self._after_restart = backoff.with_limits(initial=0.1, cap=0.5)
        self._restart_until = 0.0  # loop time
        self._gave_up_at: float | None = None  # loop time at which a handshake was given up last
        self._keys_have_worked = False

    def start(self) -> None:
        """Begin.

        Raises:
            IdentityInUse: the client is to be ``exclusive``, and another process of this machine uses the client id.
        """
        if self._options.lock:
            self._identity.acquire(exclusive=self._options.exclusive)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="cryptoproto-reconnector")

    async def settled(self) -> None:
        """Wait until the first attempt has ended, well or not."""
        while self._link.state.state in (State.CONNECTING, State.RESUMING):
            await self._link.states.changed()

    async def close(self, timeout: float) -> None:
        """Close the connection and end, within *timeout* seconds even if the exchange is silent. Idempotent."""
        task = self._task
        if task is not None:
            task.cancel()  # first, or it would see the connection end and open the next one
            connection = self._link.connection
            if connection is not None:
                await connection.close(timeout)
            await asyncio.wait([task])
        self._identity.release()
        self._link.enter(StateChange(State.CLOSED, "closed by this end", error=self.error))

    async def _run(self) -> None:
        try:
            await self._keep_connected()
        except Exception as error:
            # Whatever a store or a custom opener raises: nobody else would ever learn of it.
            logger.exception("the client is closed")
            failure = ConnectionClosed(None, f"the client is closed by {type(error).__name__}: {error}")
            failure.__cause__ = error
            self._stop(failure)

    async def _keep_connected(self) -> None:
        while True:
            error = await self._one_connection()
            reaction = self._reaction_to(error)
            if reaction.stop:
                self._stop(self._events.failure or error)
                return
            delay = self._next_delay(error, reaction)
            attempt = self._backoff.attempts
            self._link.enter(StateChange(State.WAITING, str(error), attempt=attempt, delay_s=delay, error=error))
            await self._wait(delay, reaction)

    def _reaction_to(self, error: CryptoprotoError) -> Reaction:
        """As :func:`reaction_to`, with what this process knows besides."""
        if self._events.failure is not None:
            return Reaction(stop=True)
        if isinstance(error, OpenTimeout):
            self._gave_up_at = self._loop.time()
        elif isinstance(error, ConcurrentConnection) and self._gave_up_at is not None:
            # The proof of a handshake that we gave up may have arrived late and taken our own place.
            since, self._gave_up_at = self._loop.time() - self._gave_up_at, None
            if since <= self._options.open_timeout:
                logger.warning("taken over by what may be our own abandoned handshake; trying once more")
                return Reaction(stop=False)
        elif isinstance(error, InvalidKey) and self._keys_have_worked:
            logger.warning("refused with keys that have worked before: %s; trying again", error)
            return Reaction(stop=False)
        return reaction_to(error)

    def _next_delay(self, error: CryptoprotoError, reaction: Reaction) -> float:
        now = self._loop.time()
        if isinstance(error, ServerRestart):
            self._restart_until = now + _RESTART_S
            self._after_restart.reset()
        delay = self._backoff.next_delay()
        if now < self._restart_until and not reaction.least_delay_s:
            return min(delay, self._after_restart.next_delay())
        return max(delay, reaction.least_delay_s)

    async def _wait(self, delay: float, reaction: Reaction) -> None:
        """Wait *delay* seconds, or until :meth:`reconnect_now`, or until somebody else has reached the exchange."""
        self._wake.clear()
        reached = watch(self._options.url) if not reaction.least_delay_s else asyncio.Event()
        waits = [asyncio.ensure_future(event.wait()) for event in (self._wake, reached)]
        try:
            await asyncio.wait(waits, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def reconnect_now(self) -> None:
        """End a wait between attempts."""
        self._wake.set()

    async def _one_connection(self) -> CryptoprotoError:
        """Open a connection and stay with it until it ends; returns what ended it."""
        self._link.enter(StateChange(State.CONNECTING, "connecting", attempt=self._backoff.attempts))
        try:
            connection, resumed_from = await self._open()
        except CryptoprotoError as error:
            return error
        failure: CryptoprotoError | None = None
        try:
            self._link.enter(StateChange(State.RESUMING, "connected", attempt=self._backoff.attempts))
            replayed = await self._order_entry.resume(connection, resumed_from)
            self._backoff.reset()
            self._keys_have_worked = True
            announce(self._options.url)
            self._link.enter(StateChange(State.LIVE, "everything is known", replayed=replayed))
            await connection.wait_closed()
        except CryptoprotoError as error:
            failure = error
        finally:
            try:
                await connection.close()
            finally:
                self._link.detach()
        ended = connection.error or failure or ConnectionClosed(1000, "closed by this end")
        self._metrics.count("disconnections")
        self._order_entry.on_disconnected(ended)
        return ended

    async def _open(self) -> tuple[Connection, int]:
        """A connection that has shaken hands, and the transaction that it resumes from."""
        resume_from = await self._events.resume_point(self._options.resume_from)
        options = msgspec.structs.replace(
            self._options,
            resume_from=resume_from,
            on_event=self._events.on_event,
            throttle=self._on_throttling,
            lock=False,  # the client holds it, between connections as well
            exclusive=False,
        )
        on_events = self._events.receive if self._events.on_event is None else None
        connection = Connection(options, on_events=on_events)
        await connection.open()
        self._link.attach(connection)
        self._events.check_replay()
        self._metrics.count("connections")
        return connection, resume_from

    def _on_throttling(self, level: int, request_id: int, order_id: int) -> float:
        self._metrics.count("throttled")
        hold_s = (self._options.throttle or default_throttle)(level, request_id, order_id)
        # A policy of the user may return anything; what is not a number holds nothing back.
        self._metrics.note_throttling(level, request_id, order_id, hold_s if isinstance(hold_s, int | float) else 0.0)
        return hold_s

    def _stop(self, error: CryptoprotoError) -> None:
        """End without :meth:`close`: whoever waits for an event or an outcome gets an error."""
        self.error = error
        self._identity.release()
        self._link.enter(StateChange(State.CLOSED, str(error), error=error))
        self._events.fail(error)
        self._order_entry.close()
