"""The events on their way to the user, and the position behind them."""

from __future__ import annotations

from collections.abc import Callable

from .event import Event
from .inbox import Inbox

__all__ = ["EventStream"]


class EventStream:
    """Hands events to one reader, and moves the position when the reader comes back for the next.

    Args:
        inbox: where events wait.
        handling: told of each event that is handed over.
        advance: moves the stored position to a transaction id.
        on_low: called when the queue has become short enough to read on.
    """

    def __init__(
        self,
        inbox: Inbox,
        handling: Callable[[Event], None],
        advance: Callable[[int], None],
        on_low: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._handling = handling
        self._advance = advance
        self._on_low = on_low
        self._handed: Event | None = None

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        """The next event; asking for it says that the one before was handled. Cancelling loses nothing."""
        handed = self._handed
        if handed is not None:
            self._handed = None
            if handed.transaction_id is not None:
                self._advance(handed.transaction_id)
        inbox = self._inbox
        if not inbox.events and not await inbox.wait():
            raise StopAsyncIteration
        event = self._handed = inbox.pop()
        if inbox.was_high and inbox.low:
            inbox.was_high = False
            self._on_low()
        self._handling(event)
        return event

    def take_back(self, position: int | None) -> None:
        """The reader left without asking for more: the event it had comes again, unless *position* includes it."""
        handed, self._handed = self._handed, None
        if handed is None:
            return
        if handed.transaction_id is None or position is None or handed.transaction_id > position:
            self._inbox.put_back(handed)

    def end(self) -> None:
        """The position moves no more, so nothing more is handed over."""
        self._handed = None
        self._inbox.clear()
        self._inbox.end(None)
