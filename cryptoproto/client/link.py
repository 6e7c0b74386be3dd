"""Which connection there is now, and what the client is doing."""

from __future__ import annotations

import asyncio
import logging

from ..connection import Connection
from ..exceptions import ClientClosed, CryptoprotoError, RequestNotSent
from ..reconnect import StateStream
from .event_loop import check_running_loop
from .states import State, StateChange

__all__ = ["Link", "not_sent"]

logger: logging.Logger = logging.getLogger("cryptoproto.client")


class Link:
    """The client's connection of the moment, if there is one.

    The reconnector attaches connections and enters states; order entry and the event stream read them.

    Attributes:
        states: the state now, and every change.
    """

    __slots__ = ("_connection", "_failure", "_is_live", "states")

    def __init__(self) -> None:
        check_running_loop()
        self.states: StateStream[StateChange] = StateStream(StateChange(State.CONNECTING, "starting"))
        self._connection: Connection | None = None
        self._failure: CryptoprotoError | None = None  # why there is no connection
        self._is_live = False

    @property
    def connection(self) -> Connection | None:
        """The connection, from the end of its handshake until it is gone; ``None`` in between."""
        return self._connection

    @property
    def state(self) -> StateChange:
        """The state now."""
        return self.states.current

    # For the reconnector

    def attach(self, connection: Connection) -> None:
        """*connection* has shaken hands."""
        self._connection = connection

    def detach(self) -> None:
        """The connection is gone."""
        self._connection = None

    def enter(self, change: StateChange) -> None:
        """Enter a state. CLOSED is the last one."""
        if not self.states.ended:
            logger.info("%s: %s", change.state.value, change.reason)
            self._is_live = change.state is State.LIVE
            self._failure = None if self._is_live else change.error or self._failure
            self.states.publish(change, last=change.state is State.CLOSED)

    # For those who send

    def live(self) -> Connection | None:
        """The connection, if the client is LIVE and it is open."""
        connection = self._connection
        return connection if self._is_live and connection is not None and connection.is_open else None

    async def wait_live(self, *, wait: bool = True) -> Connection:
        """The connection, once the client is LIVE.

        Raises:
            ClientClosed: the client is closed for good.
            RequestNotSent: there is no connection, and *wait* is false.
        """
        while True:
            connection = self.live()
            if connection is not None:
                return connection
            # Yield even to a caller who retries in a loop: other tasks, and the reconnect itself, have to run.
            await asyncio.sleep(0)
            current = self.state
            if current.state is State.CLOSED:
                raise self.closed()
            if not wait:
                # The state follows a lost connection only once its link is closed.
                lost = self._connection is not None and self._connection.error
                raise not_sent(f"not connected: {lost or current.reason}", cause=current.error)
            if self.live() is None and self.state is current:
                await self.states.changed()

    async def live_by(self, deadline: float, *, wait: bool = True) -> Connection:
        """The connection, once the client is LIVE, or until *deadline* in loop time.

        Raises:
            ClientClosed: the client is closed for good.
            RequestNotSent: there was no connection by then, or at once with *wait* false.
        """
        connection = self.live()
        if connection is not None:
            return connection
        try:
            async with asyncio.timeout_at(deadline):
                return await self.wait_live(wait=wait)
        except TimeoutError:
            late = self.late("there was no connection")
            raise late from late.__cause__

    def late(self, what: str) -> RequestNotSent:
        """The error of a call that has waited until its deadline: *what* happened, and why there is no connection."""
        what += " within the deadline"
        if self.live() is not None:
            return not_sent(what)
        return not_sent(f"{what}: {self._failure or self.state.reason}", cause=self._failure)

    def closed(self) -> ClientClosed:
        """The error of a call on a client that is closed for good."""
        error = ClientClosed(f"the client is closed: {self.state.reason}; a retry cannot succeed")
        error.sent = False
        error.__cause__ = self.state.error
        return error

    # For those who take events

    def pause(self) -> None:
        """Stop reading events from the connection; see :meth:`Connection.pause_events`."""
        if self._connection is not None:
            self._connection.pause_events()

    def resume(self) -> None:
        """Read events again."""
        if self._connection is not None:
            self._connection.resume_events()

    def give_up(self, error: CryptoprotoError) -> None:
        """End the connection because of *error*; the reconnector opens another one, which resumes."""
        if self._connection is not None:
            self._connection.give_up(error)


def not_sent(reason: str, *, cause: BaseException | None = None) -> RequestNotSent:
    """The error of a message that the exchange has not received and will not receive."""
    error = RequestNotSent(reason)
    error.sent = False
    error.__cause__ = cause
    return error
