"""The events that wait for the user, limited in number and bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from ..exceptions import ConfigurationError, CryptoprotoError
from .event import Event
from .options import MAX_QUEUE_BYTES

__all__ = ["EventQueue"]

_HARD_FACTOR: Final = 4
_HARD_SLACK: Final = 4096
"""How many events one read of the socket may still contain after reading was paused: a generous bound."""


class EventQueue:
    """A queue with one reader.

    Attributes:
        events: the waiting events, oldest first.
        waiting_bytes: their size.
        was_high: whether there were more than :attr:`low` allows since :meth:`has_become_low` was last true.
    """

    __slots__ = (
        "_ended",
        "_hard_limit",
        "_limit",
        "_loop",
        "_low",
        "_make_error",
        "_waiter",
        "events",
        "waiting_bytes",
        "was_high",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self.events: deque[Event] = deque()
        self.was_high: bool = False
        self._loop = loop
        self._limit = limit
        self._low = limit // 2
        self._hard_limit = _HARD_FACTOR * limit + _HARD_SLACK
        self.waiting_bytes: int = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._make_error: Callable[[], CryptoprotoError] | None = None

    @property
    def overflowing(self) -> bool:
        """Whether the hard limit is reached, at which even a call that waits for its response must fail."""
        return len(self.events) >= self._hard_limit or self.waiting_bytes >= _HARD_FACTOR * MAX_QUEUE_BYTES

    @property
    def low(self) -> bool:
        """Whether reading may resume."""
        return len(self.events) <= self._low and self.waiting_bytes < MAX_QUEUE_BYTES // 2

    def has_become_low(self) -> bool:
        """Whether it was high and is low now; true once for each change."""
        if self.was_high and self.low:
            self.was_high = False
            return True
        return False

    def put(self, event: Event) -> bool:
        """Add an event and wake the reader; returns whether reading should pause."""
        events = self.events
        events.append(event)
        self.waiting_bytes = waiting_bytes = self.waiting_bytes + len(event.raw)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        waiting = len(events)
        if waiting <= self._low and waiting_bytes < MAX_QUEUE_BYTES // 2:
            return False
        self.was_high = True
        return waiting >= self._limit or waiting_bytes >= MAX_QUEUE_BYTES

    def put_all(self, events: list[Event]) -> bool:
        """As :meth:`put`, for one or more events."""
        waiting_bytes = self.waiting_bytes
        for event in events:
            waiting_bytes += len(event.raw)
        self.waiting_bytes = waiting_bytes
        self.events.extend(events)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        waiting = len(self.events)
        if waiting <= self._low and waiting_bytes < MAX_QUEUE_BYTES // 2:
            return False
        self.was_high = True
        return waiting >= self._limit or waiting_bytes >= MAX_QUEUE_BYTES

    def pop(self) -> Event:
        """The oldest event; raises IndexError if there is none."""
        event = self.events.popleft()
        self.waiting_bytes -= len(event.raw)
        return event

    def put_back(self, event: Event) -> None:
        """Return an event to the front, as if it had not been popped."""
        self.events.appendleft(event)
        self.was_high = True  # possibly; has_become_low() also looks at the size
        self.waiting_bytes += len(event.raw)

    def clear(self) -> None:
        """Drop all waiting events."""
        self.events.clear()
        self.waiting_bytes = 0

    def end(self, make_error: Callable[[], CryptoprotoError] | None) -> None:
        """No more events come. Once it is empty, readers get an error, or the end if *make_error* is ``None``."""
        if not self._ended:  # the first reason stays
            self._make_error = make_error
        self._ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> bool:
        """Wait for an event. Returns true if there is one, false at the end. Cancelling loses nothing.

        Raises:
            CryptoprotoError: what ended the connection.
            ConfigurationError: another task is waiting already.
        """
        while not self.events:
            if self._ended:
                if self._make_error is not None:
                    raise self._make_error()
                return False
            if self._waiter is not None:
                raise ConfigurationError(
                    "another task is iterating over this connection; let one task iterate and pass the events on"
                )
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return True
