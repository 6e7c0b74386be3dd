"""How events reach the user: the queue, the position, and back-pressure.

The rule of the position: it moves to an event when the user's code is done with it, which is when the next event is
asked for, or when ``on_event`` returns. Only a commit in ``store.transaction()`` moves it earlier.

A history, if the store keeps one, records each event when it is received, and so has what nobody has asked for yet.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable
from time import time_ns
from typing import Any, Final

from ..connection import Event
from ..connection.closing import own
from ..connection.event import last_transaction_id
from ..connection.event_queue import EventQueue
from ..exceptions import ConfigurationError, ConnectionClosed, CryptoprotoError, SlowConsumer, StoreError
from ..history import NOT_KEPT, History
from .event_ends import EventSource, EventTables, Settler
from .metrics import Histogram
from .readers import EventBatches, EventStream, Reader
from .store import RecordingStore, Store

__all__ = ["EventDelivery"]

logger: logging.Logger = logging.getLogger("cryptoproto.client")

_FLUSH_INTERVAL_S: Final = 0.05
"""How long the stored position may lag behind: events since then are redelivered after a crash."""
_FLUSH_RETRY_S: Final = 1.0


class EventDelivery:
    """Takes events from one connection after the other, and gives each to the user once and in order.

    Args:
        link: what events are read from.
        account: the tables of orders and balances, which see each event first.
        order_entry: settles what events answer, which comes second.
        store: where the position is kept, in groups: as many events as the store wants, or with a timer.
        waits: records for how long each event waited for the user.
        handler: the user's ``on_event``, or ``None`` if events are iterated over.
        max_queue: how many events may wait.

    Attributes:
        failure: what the user's handler raised, as the error that closes the client.
    """

    def __init__(
        self,
        link: EventSource,
        account: EventTables,
        order_entry: Settler,
        store: Store,
        waits: Histogram,
        handler: Callable[[Event], object] | None,
        max_queue: int,
    ) -> None:
        self.failure: CryptoprotoError | None = None
        self._link = link
        self._account = account
        self._order_entry = order_entry
        self._store = store
        self._recording = store if isinstance(store, RecordingStore) else None
        self._comparisons = 0  # of the balances, that are recorded
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._queue = EventQueue(self._loop, max_queue)
        self._room = asyncio.Event()
        self._taken_in: int | None = None  # the last transaction in the tables and the queue
        self._dropped_after: int | None = None  # the transaction before the events that nobody had asked for
        self._is_stale = False  # the connection that is being opened does not replay events that were asked for
        # The reader
        self._readers = 0  # that there ever were
        self._reading = 0  # the number of the one that reads
        self._reader: weakref.ref[Reader[Any]] | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_attended = handler is not None
        # The position
        self._handed: Event | None = None  # the event that the user's code has
        self._handed_batch: list[Event] = []  # or the batch
        self._handled: int | None = None  # the last transaction that it was done with in this process
        self._waits: list[int] = []  # of the events since the last group, in nanoseconds
        self._histogram = waits
        self._group = store.commit_every
        self._timer: asyncio.TimerHandle | None = None

    # The user's side

    def stream(self) -> EventStream:
        """A new reader. What an earlier one took without asking for more is delivered again."""
        return EventStream(self._next_number(), self.claim, self.next_event)

    def batches(self) -> EventBatches:
        """A new reader that takes what one read has brought as one item."""
        return EventBatches(self._next_number(), self.claim, self.next_batch)

    def _next_number(self) -> int:
        if self._handler is not None:
            raise ConfigurationError("events go to on_event; leave it out to iterate over them")
        self._is_attended = True
        self._readers += 1
        return self._readers

    async def next_event(self, reader: Reader[Event]) -> Event:
        """The next event for *reader*; see :meth:`Reader.__anext__`.

        It repeats :meth:`_finish` and :meth:`_begin`: without their calls, an iteration takes a tenth less time.
        """
        handed, waits = self._handed, self._waits
        if self._reading != reader.number:
            self.claim(reader)
        elif handed is None or len(waits) >= self._group:
            self._finish()
        else:
            self._handed = None
            if handed.transaction_id is not None:
                self._handled = handed.transaction_id
        queue = self._queue
        if not queue.front and not queue.advance():
            self._store_soon()
            if not await queue.wait():
                raise StopAsyncIteration
        event = queue.front.pop()
        if queue.was_high:
            self._make_room()
        self._handed = event
        if not waits:
            self._store_soon()
        waits.append(time_ns() - event.received_ns)
        return event

    async def next_batch(self, reader: Reader[list[Event]]) -> list[Event]:
        """The next batch for *reader*; see :meth:`Reader.__anext__`."""
        if self._reading != reader.number:
            self.claim(reader)
        else:
            self._finish()
        queue = self._queue
        if not queue.front:
            self._store_soon()
            if not await queue.wait():
                raise StopAsyncIteration
        batch = queue.take()
        if queue.was_high:
            self._make_room()
        self._handed_batch = batch.copy()  # the caller may change its list
        self._store_soon()
        now = time_ns()
        self._waits += [now - event.received_ns for event in batch]
        return batch

    def _make_room(self) -> None:
        """Events were taken: go on reading if few enough are left."""
        if self._queue.has_become_low():
            self._room.set()
            self._link.resume()

    def claim(self, reader: Reader[Any]) -> None:
        """*reader* is iterated over by the current task from here on.

        Raises:
            ConfigurationError: another task that is still running iterates.
        """
        current, task = asyncio.current_task(), self._task
        before = None if self._reader is None else self._reader()
        if before is not None and task is not current and task is not None and not task.done():
            raise ConfigurationError(
                "another task is iterating over the client's events already; let one task iterate and pass events on"
            )
        self._task = current
        if before is reader:
            return
        self._reader = weakref.ref(reader)
        self._reading = reader.number
        # The last reader left without asking for more: it may not have handled what it had.
        position, handed = self.position, self._take_handed()
        last = last_transaction_id(handed, None)
        if handed and (last is None or position is None or last > position):
            self._queue.put_back(handed)
        if self._dropped_after is not None:
            resume_from = self._dropped_after if position is None else position
            self._dropped_after = None
            self._is_stale = True
            self._taken_in = resume_from
            self._link.give_up(_missed(resume_from))

    # The position

    @property
    def position(self) -> int | None:
        """The last transaction that was handled: here, before this process, or by a commit of the user's own."""
        handled, stored = self._handled, self._store.position
        return stored if handled is None or (stored is not None and stored > handled) else handled

    def handling(self) -> int | None:
        """The transaction id of the event that the user's code has, or the last one of the batch.

        See :meth:`Store.watch`.
        """
        if self._handed is not None:
            return self._handed.transaction_id
        return last_transaction_id(self._handed_batch, None)

    def _take_handed(self) -> list[Event]:
        """What the user's code has, which counts as taken from it from now on."""
        handed = self._handed_batch if self._handed is None else [self._handed]
        self._handed, self._handed_batch = None, []
        return handed

    def _begin(self, event: Event) -> None:
        """*event* is given to the user's code."""
        self._handed = event
        waits = self._waits
        if not waits:
            self._store_soon()
        waits.append(time_ns() - event.received_ns)

    def _finish(self) -> None:
        """The user's code is done with the event, or the batch, that it had.

        Raises:
            StoreError: the position could not be stored. It is not lost: the next group stores it.
        """
        handed = self._handed
        if handed is not None:  # as for a batch of one, but without a list for each event
            self._handed = None
            if handed.transaction_id is not None:
                self._handled = handed.transaction_id
        elif self._handed_batch:
            self._handled = last_transaction_id(self._take_handed(), self._handled)
        if len(self._waits) >= self._group:
            self._store_now()

    def settle(self) -> None:
        """Pass the position to the store and the waits to the histogram."""
        self._histogram.add(self._waits)
        self._waits.clear()
        balances = self._account.balances
        if self._recording is not None and balances.comparisons != self._comparisons:
            self._comparisons = balances.comparisons
            self._recording.record_balances(self._account.position, balances.all())
        if self._handled is not None:
            self._store.advance(self._handled)

    def _store_now(self) -> None:
        self.settle()
        self._store.flush()

    def _store_soon(self, delay: float = _FLUSH_INTERVAL_S) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self._store_now()
        except StoreError:
            logger.exception("the position could not be stored; trying again")
            self._store_soon(_FLUSH_RETRY_S)

    @property
    def history(self) -> History:
        """What the store has recorded, including every event received so far.

        Raises:
            ConfigurationError: the store keeps no history.
            StoreError: what was received could not be written.
        """
        history = None if self._recording is None else self._recording.history
        if history is None:
            raise ConfigurationError(f"this client keeps no history; {NOT_KEPT}")
        self._store_now()
        return history

    # The connection's side

    @property
    def on_event(self) -> Callable[[Event], None] | None:
        """What a connection calls with each event, if there is a handler: it gets one before the next is decoded."""
        return None if self._handler is None else self._receive_one

    def _receive_one(self, event: Event) -> None:
        self.receive([event])

    @property
    def queued(self) -> int:
        """How many events wait for the user."""
        return len(self._queue)

    async def resume_point(self, default: int) -> int:
        """The transaction that the next connection resumes from, once there is room for what it brings."""
        while not self._queue.low:
            self._room.clear()
            await self._room.wait()
        self._is_stale = False
        if self._taken_in is None:
            self._taken_in = self._store.position
        return default if self._taken_in is None else self._taken_in

    def check_replay(self) -> None:
        """Give up a new connection that does not replay events which were asked for while it was opened."""
        if self._is_stale:
            self._link.give_up(_missed(self._taken_in))

    def receive(self, events: list[Event]) -> None:
        """Take in what one read of the socket has brought: tables first, then outcomes, then the user.

        Raises:
            StoreError: an outcome, or the history, could not be stored. The connection ends, and the events come again.
        """
        if self._recording is not None and self._recording.record(events):
            self._store_soon()
        self._account.apply(events)
        self._order_entry.settle(events)
        self._taken_in = events[-1].transaction_id or last_transaction_id(events, self._taken_in)
        if self._handler is not None:
            for event in events:
                self._handle(self._handler, event)
        elif self._dropped_after is None and self._queue.put(events):
            self._on_full()

    def _handle(self, handler: Callable[[Event], object], event: Event) -> None:
        self._begin(event)
        try:
            handler(event)
        except Exception as error:
            # The position stays before this event. A new connection would only deliver it again.
            self._handed = None
            self.failure = ConnectionClosed(None, f"on_event raised {type(error).__name__}; the client is closed")
            self.failure.__cause__ = error
            raise
        self._finish()

    def _on_full(self) -> None:
        if not self._is_attended:
            # Perhaps nobody ever asks for events. A later reader gets a replay.
            logger.warning("%d events were not taken by anybody and are dropped", self.queued)
            numbers = (event.transaction_id for event in self._queue)
            first = next((number for number in numbers if number is not None), None)
            self._dropped_after = None if first is None else max(first - 1, 0)
            self._queue.clear()
        elif self._queue.overflowing:
            # Replies wait behind more events than may be kept: end the connection, and resume when there is room.
            self._link.give_up(SlowConsumer(None, "events are not taken fast enough", position=self._taken_in))
        elif not self._order_entry.unanswered:
            self._link.pause()

    # The end

    def fail(self, error: CryptoprotoError) -> None:
        """The client is closed by *error*, which the reader gets once the queue is empty."""
        self._queue.end(lambda: own(error, sent=None))

    def end(self) -> None:
        """Hand over no more events, and tell the store the position. An unfinished event comes again."""
        self._queue.clear()
        self._queue.end(None)
        self._take_handed()
        self.settle()
        if self._timer is not None:
            self._timer.cancel()


def _missed(position: int | None) -> SlowConsumer:
    return SlowConsumer(None, "events that nobody had asked for are replayed", position=position)
