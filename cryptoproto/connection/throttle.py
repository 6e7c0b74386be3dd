"""Holds sends for as long as throttling asks for."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable

from ..exceptions import CryptoprotoError

__all__ = ["SendGate"]


class SendGate:
    """Holds sends for a while, and then lets them go one by one, urgent ones first, in the order in which they came.

    One by one, each in its own turn of the event loop, so that a further throttling frame can stop the rest.
    """

    __slots__ = ("_loop", "_queues", "_timer", "_until", "_walking")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._until = 0.0
        self._queues: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())  # the urgent, and the others
        self._walking: asyncio.Future[None] | None = None  # who was let go, until its task runs
        self._timer: asyncio.TimerHandle | None = None

    @property
    def remaining(self) -> float:
        """For how many seconds sends are still held, 0.0 when free."""
        return max(0.0, self._until - self._loop.time()) if self._until else 0.0

    @property
    def clear(self) -> bool:
        """Whether a send may leave at once."""
        return not any(self._queues) and self._until <= self._loop.time()

    @property
    def waiting(self) -> int:
        """How many sends are held."""
        return sum(map(len, self._queues))

    def hold(self, seconds: float) -> None:
        """Hold sends for *seconds* from now, or longer where they are held for longer."""
        self._until = max(self._until, self._loop.time() + seconds)

    async def wait(self, *, urgent: bool = False) -> None:
        """Wait for one's turn. Cancelling gives the turn to the next.

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
            # Only now, not when it was let go: until its task runs, nobody else may find the gate clear.
            queue.remove(waiter)
            if self._walking is waiter:
                self._walking = None
            self._set_timer()

    def end(self, make_error: Callable[[], CryptoprotoError]) -> None:
        """Fail all who wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in itertools.chain(*self._queues):
            if not waiter.done():
                waiter.set_exception(make_error())

    def _first(self) -> asyncio.Future[None] | None:
        # Whoever was cancelled or failed is still in its queue until its task runs.
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
