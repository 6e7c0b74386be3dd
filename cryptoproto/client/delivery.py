"""Where a client's events go: to what it knows itself, and then to the user, by a queue or by a handler."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..connection.connection import Connection
from ..connection.event import Event
from ..connection.event_queue import Inbox
from ..exceptions import ConnectionClosed, CryptoprotoError, SlowConsumer
from .account.account import Account
from .order_entry import Desk
from .progress import Progress
from .stream import EventStream

__all__ = ["Delivery"]

logger = logging.getLogger("cryptoproto.client")


class Delivery:
    """Takes events from one connection after the other, and sees to it that the user misses none.

    Args:
        account: the tables of orders and balances.
        desk: who waits for the outcome of a message.
        progress: how far the user has got.
        handler: the user's, or ``None`` where events are iterated over.
        max_queue: how many events may wait.
        connection: gives the connection, ``None`` while there is none.
        on_failure: told of what the handler raised, as an error that closes the client.

    Attributes:
        applied: the last transaction that went into the tables and the queue; the next connection resumes from it.
        inbox: the events that wait for the user.
    """

    def __init__(
        self,
        account: Account,
        desk: Desk,
        progress: Progress,
        handler: Callable[[Event], object] | None,
        max_queue: int,
        connection: Callable[[], Connection | None],
        on_failure: Callable[[CryptoprotoError], None],
    ) -> None:
        self.applied: int | None = None
        self.inbox = Inbox(asyncio.get_running_loop(), max_queue)
        self._account = account
        self._answer = desk.answer
        self._unanswered = desk.outcomes.unanswered
        self._progress = progress
        self._handler = handler
        self._connection = connection
        self._on_failure = on_failure
        self._stream = EventStream(self.inbox, progress, self._on_low)
        self._low = asyncio.Event()
        self._is_attended = handler is not None
        self._has_dropped = False  # events, because nobody had asked for any
        self._is_stale = False  # the connection that is being opened, because it does not replay them

    # For the user

    def stream(self) -> EventStream:
        """What the user iterates over; see :meth:`cryptoproto.Client.events`."""
        self._is_attended = True
        self._stream.take_back(self._progress.reached)
        if self._has_dropped:
            self._has_dropped = False
            self._is_stale = True
            self.applied = self._progress.reached
            connection = self._connection()
            if connection is not None:
                connection.give_up(self._missed())
        return self._stream

    def fail(self, make_error: Callable[[], CryptoprotoError]) -> None:
        """It is over without :meth:`end`: whoever waits for an event gets the error once the queue is empty."""
        self.inbox.end(make_error)

    def end(self) -> None:
        """Hand over no more, and tell the store what is done with."""
        self.inbox.clear()
        self.inbox.end(None)
        self._progress.stop()

    # For each new connection

    async def room(self) -> None:
        """Wait until the queue is short enough for what a new connection brings."""
        while not self.inbox.low:
            self._low.clear()
            await self._low.wait()
        self._is_stale = False

    def accept(self, connection: Connection) -> None:
        """*connection* is open, and must go where events were asked for meanwhile that it does not replay."""
        if self._is_stale:
            connection.give_up(self._missed())

    # For the connection

    @property
    def on_event(self) -> Callable[[Event], None] | None:
        """What it is to call with each event: for a handler, which gets it before the next frame is read."""
        return None if self._handler is None else self._on_event

    @property
    def on_events(self) -> Callable[[list[Event]], None] | None:
        """What it is to call with what one read has brought: for the queue."""
        return self._on_events if self._handler is None else None

    def _on_event(self, event: Event) -> None:
        self._apply([event])
        if self._handler is not None:
            self._handle(self._handler, event)

    def _on_events(self, events: list[Event]) -> None:
        try:
            self._apply(events)
        finally:
            if events and not self._has_dropped and self.inbox.put_all(events):
                self._on_full()

    def _apply(self, events: list[Event]) -> None:
        """Take events in; those that could not be are taken out of the list, and come again with the next connection.

        Raises:
            StoreError: an outcome could not be stored.
        """
        try:
            self._account.apply(events, self._unanswered, self._answer)
        finally:
            for event in reversed(events):
                if event.transaction_id is not None:
                    self.applied = event.transaction_id
                    break

    def _handle(self, handler: Callable[[Event], object], event: Event) -> None:
        self._progress.begin(event)
        try:
            handler(event)
        except Exception as error:
            # The position stays before this event. Trying again would only meet it again.
            self._progress.handed = None
            failure = ConnectionClosed(None, f"on_event raised {type(error).__name__}; the client is closed")
            failure.__cause__ = error
            self._on_failure(failure)
            raise
        self._progress.finish()

    # How full it is

    def _on_full(self) -> None:
        connection = self._connection()
        if not self._is_attended:
            # Perhaps nobody ever asks for events. Who does gets them replayed.
            logger.warning("%d events were not taken by anybody and are dropped", len(self.inbox.events))
            self.inbox.clear()
            self._has_dropped = True
        elif connection is None:
            return
        elif self.inbox.overflowing:
            # Replies are waited for behind more events than can be kept: let go, and resume when there is room.
            connection.give_up(SlowConsumer(None, "events are not taken fast enough", position=self.applied))
        elif not self._unanswered:
            connection.pause_events()

    def _on_low(self) -> None:
        self._low.set()
        connection = self._connection()
        if connection is not None:
            connection.resume_events()

    def _missed(self) -> SlowConsumer:
        return SlowConsumer(None, "events that nobody had asked for are replayed", position=self.applied)
