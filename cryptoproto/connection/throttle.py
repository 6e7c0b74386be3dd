"""Holds messages while the exchange throttles."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable

from ..exceptions import CryptoprotoError

__all__ = ["SendGate"]


class SendGate:
    """Holds messages for a while, then releases them one by one: urgent ones first, otherwise in order.

    Each is released in its own turn of the event loop, so that another throttling frame can stop the rest.
    """

    __slots__ = ("_loop", "_queues", "_timer", "_until", "_walking")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until = 0.0
        self._queues: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())  # urgent, and other
        self._walking: asyncio.Future[None] | None = None  # the one that was released, until its task runs
        self._timer: asyncio.TimerHandle | None = None

    @property
    def remaining(self) -> float:
        """For how many seconds messages are still held; 0.0 if they are not."""
        return max(0.0, self._until - self._loop.time()) if self._until else 0.0

    @property
    def clear(self) -> bool:
        """Whether a message may be sent now."""
        return not any(self._queues) and self._until <= self._loop.time()

    @property
    def waiting(self) -> int:
        """How many messages are held."""
        return sum(map(len, self._queues))

    def hold(self, seconds: float) -> None:
        """Hold messages for *seconds* from now. A longer hold that is in effect stays."""
        self._until = max(self._until, self._loop.time() + seconds)

    async def wait(self, *, urgent: bool = False) -> None:
        """Wait for a turn. If cancelled, the turn passes to the next caller.

        Raises:
            CryptoprotoError: what :meth:`end` was given.
        """
        waiter: asyncio.Future[None] = self._loop.create_future()
        queue = self._queues[not urgent]
        queue.append(waiter)
        self._set_timer()
        try:
            await waiter
        finally:
            # Not earlier: until this task runs, no other caller may find the gate clear.
            queue.remove(waiter)
            if self._walking is waiter:
                self._walking = None
            self._set_timer()

    def end(self, make_error: Callable[[], CryptoprotoError]) -> None:
        """Raise an error in all callers that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in itertools.chain(*self._queues):
            if not waiter.done():
                waiter.set_exception(make_error())

    def _first(self) -> asyncio.Future[None] | None:
        # A waiter that was cancelled or failed stays in its queue until its task runs.
        return next((waiter for waiter in itertools.chain(*self._queues) if not waiter.done()), None)

    def _set_timer(self) -> None:
        if self._timer is None and self._walking is None and self._first() is not None:
            self._timer = self._loop.call_at(max(self._until, self._loop.time()), self._next)

    def _next(self) -> None:
        self._timer = None
        if self.remaining:
            self._set_timer()
            return
        self._walking = self._first()
        if self._walking is not None:
            self._walking.set_result(None)
