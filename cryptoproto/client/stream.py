"""The events on their way to the user, and the position behind them."""

from __future__ import annotations

from collections.abc import Callable
from time import time_ns

from ..connection.event import Event
from ..connection.event_queue import Inbox
from .progress import Progress

__all__ = ["EventStream"]


class EventStream:
    """Hands events to one reader, and moves the position when the reader comes back for the next.

    Args:
        inbox: where events wait.
        progress: what is told of each event that is handed over, and of each that is done with.
        on_low: called when the queue has become short enough to read on.
    """

    __slots__ = ("_inbox", "_on_low", "_progress")

    def __init__(self, inbox: Inbox, progress: Progress, on_low: Callable[[], None]) -> None:
        self._inbox = inbox
        self._progress = progress
        self._on_low = on_low

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        """The next event; asking for it says that the one before was handled. Cancelling loses nothing."""
        progress = self._progress
        waits = progress.waits
        handed = progress.handed
        if handed is not None:  # as Progress.finish(), without a call for each event
            transaction_id = handed.transaction_id
            if transaction_id is not None:
                progress.position = transaction_id
            if len(waits) >= progress.group:
                progress.store_now()
        inbox = self._inbox
        if not inbox.events:
            progress.handed = None
            progress.store_soon()
            if not await inbox.wait():
                raise StopAsyncIteration
        event = progress.handed = inbox.events.popleft()  # as Inbox.pop()
        inbox.waiting_bytes -= len(event.raw)
        if inbox.was_high and inbox.low:
            inbox.was_high = False
            self._on_low()
        if not waits:  # as Progress.begin()
            progress.store_soon()
        waits.append(time_ns() - event.received_ns)
        return event

    def take_back(self, position: int | None) -> None:
        """The reader left without asking for more: the event it had comes again, unless *position* includes it."""
        progress = self._progress
        handed, progress.handed = progress.handed, None
        if handed is None:
            return
        if handed.transaction_id is None or position is None or handed.transaction_id > position:
            self._inbox.put_back(handed)
