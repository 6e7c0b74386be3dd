"""The events that wait for the user, limited in number and bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from ..exceptions import ConfigurationError, CryptoprotoError
from .event import Event
from .options import MAX_QUEUE_BYTES

__all__ = ["EventQueue"]

_HARD_FACTOR: Final = 4
_HARD_SLACK: Final = 4096
"""How many events one read of the socket may still contain after reading was paused: a generous bound."""


class EventQueue:
    """A queue with one reader. It keeps the events of each read together.

    Attributes:
        front: the read that is being taken, or what is left of it, newest event first: the next event is the last one.
        waiting_bytes: the size of the events in the reads behind it.
        was_high: whether there were more than :attr:`low` allows since :meth:`has_become_low` was last true.
    """

    __slots__ = (
        "_behind",
        "_ended",
        "_hard_limit",
        "_limit",
        "_loop",
        "_low",
        "_make_error",
        "_reads",
        "_waiter",
        "front",
        "waiting_bytes",
        "was_high",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self.front: list[Event] = []
        self.waiting_bytes: int = 0
        self.was_high: bool = False
        self._reads: deque[tuple[list[Event], int]] = deque()  # the reads behind the front, and their sizes in bytes
        self._behind = 0  # how many events they have
        self._loop = loop
        self._limit = limit
        self._low = limit // 2
        self._hard_limit = _HARD_FACTOR * limit + _HARD_SLACK
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._make_error: Callable[[], CryptoprotoError] | None = None

    def __len__(self) -> int:
        return len(self.front) + self._behind

    def __iter__(self) -> Iterator[Event]:
        """The events that wait, oldest first."""
        yield from reversed(self.front)
        for events, _ in self._reads:
            yield from events

    @property
    def overflowing(self) -> bool:
        """Whether the hard limit is reached, at which even a call that waits for its response must fail."""
        return len(self) >= self._hard_limit or self.waiting_bytes >= _HARD_FACTOR * MAX_QUEUE_BYTES

    @property
    def low(self) -> bool:
        """Whether reading may resume."""
        return len(self) <= self._low and self.waiting_bytes < MAX_QUEUE_BYTES // 2

    def has_become_low(self) -> bool:
        """Whether it was high and is low now; true once for each change."""
        if self.was_high and self.low:
            self.was_high = False
            return True
        return False

    def put(self, events: list[Event]) -> bool:
        """Add the events of one read and wake the reader; returns whether reading should pause.

        The list must not be empty, and belongs to the queue from now on.
        """
        size = 0
        for event in events:
            size += len(event.raw)
        self._reads.append((events, size))
        self._behind = behind = self._behind + len(events)
        self.waiting_bytes = waiting_bytes = self.waiting_bytes + size
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        waiting = behind + len(self.front)
        if waiting <= self._low and waiting_bytes < MAX_QUEUE_BYTES // 2:  # as low, without its call
            return False
        self.was_high = True
        return waiting >= self._limit or waiting_bytes >= MAX_QUEUE_BYTES

    def advance(self) -> bool:
        """Make the next read the front, which must be empty; returns whether there was one."""
        if not self._reads:
            return False
        front, size = self._reads.popleft()
        self._behind -= len(front)
        self.waiting_bytes -= size
        front.reverse()
        self.front = front
        return True

    def take(self) -> list[Event]:
        """All events of the front, oldest first."""
        taken, self.front = self.front, []
        taken.reverse()
        return taken

    def put_back(self, events: list[Event]) -> None:
        """Return events to the front, as if they had not been taken."""
        self.front += reversed(events)
        self.was_high = True  # possibly; has_become_low() also looks at the size

    def clear(self) -> None:
        """Drop all waiting events."""
        self.front = []
        self._reads.clear()
        self._behind = self.waiting_bytes = 0

    def end(self, make_error: Callable[[], CryptoprotoError] | None) -> None:
        """No more events come. Once it is empty, readers get an error, or the end if *make_error* is ``None``."""
        if not self._ended:  # the first reason stays
            self._make_error = make_error
        self._ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> bool:
        """Wait until the front has an event. Returns true if it has, false at the end. Cancelling loses nothing.

        Raises:
            CryptoprotoError: what ended the connection.
            ConfigurationError: another task is waiting already.
        """
        while not self.front and not self.advance():
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
