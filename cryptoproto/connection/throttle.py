"""Holds messages while the exchange throttles, and sends them at a pace afterwards."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from typing import Final

from ..exceptions import CryptoprotoError

__all__ = ["Pace", "SendGate"]

_HALF_LIFE_S: Final = 1.0
_HALF_LIFE_INTERVALS: Final = 4
_SHORTEST_S: Final = 1e-5  # no client sends more often


class Pace:
    """When the next message may leave: after the hold, and at a pace if holds alone are not enough.

    Whether a message that is sent after a hold was one too many is known only a round trip later. All that waits would
    have left by then, and the level would grow in spite of the holds. So if the exchange throttles again although
    messages were held, they leave at intervals as long as the longest hold. The interval halves each second without
    throttling, or each four intervals if that is longer, so that the rate hardly grows within a round trip.

    Attributes:
        until: when the hold ends.
        due: when the next message may leave; 0.0 if at once.
    """

    __slots__ = ("_has_sent", "_interval", "due", "until")

    def __init__(self) -> None:
        self.until: float = 0.0
        self.due: float = 0.0
        self._interval = 0.0
        self._has_sent = False  # a message, since the last throttling frame

    def hold(self, seconds: float, now: float) -> None:
        """Throttled at *now*: nothing leaves for *seconds*. A longer hold that is in effect stays."""
        if self._has_sent or self._interval:
            self._interval = max(seconds, self.interval(now))
        self._has_sent = False
        self.until = max(self.until, now + seconds)
        self.due = max(self.due, self.until)

    def sent(self, now: float) -> None:
        """A message leaves at *now*."""
        self._has_sent = True
        self.due = max(self.due, now + self.interval(now))

    def interval(self, now: float) -> float:
        """How far apart messages are; 0.0 if they need not be."""
        interval = self._interval
        if interval:
            half_life = max(_HALF_LIFE_S, _HALF_LIFE_INTERVALS * interval)
            interval *= 0.5 ** (max(0.0, now - self.until) / half_life)
            if interval < _SHORTEST_S:
                self._interval = interval = 0.0
        return interval


class SendGate:
    """Holds messages for a while, then releases them one by one: urgent ones first, otherwise in order.

    Each is released in its own turn of the event loop, so that another throttling frame can stop the rest, and no
    sooner than the pace allows.

    Attributes:
        is_used: whether the exchange has throttled anything. Until then, :meth:`sent` need not be called.
    """

    __slots__ = ("_loop", "_pace", "_queues", "_released", "_timer", "_walking", "is_used")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_used: bool = False
        self._loop = loop
        self._pace = Pace()
        self._queues: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque())  # urgent, and other
        self._walking: asyncio.Future[None] | None = None  # the one that was released, until its task runs
        self._released = 0.0  # when the last one was; it may be written down before it is sent
        self._timer: asyncio.TimerHandle | None = None

    @property
    def remaining(self) -> float:
        """For how many seconds messages are still held; 0.0 if they are not."""
        return max(0.0, self._pace.until - self._loop.time()) if self.is_used else 0.0

    @property
    def clear(self) -> bool:
        """Whether a message may be sent now."""
        return not self.is_used or (not any(self._queues) and self._pace.due <= self._loop.time())

    @property
    def waiting(self) -> int:
        """How many messages are held."""
        return sum(map(len, self._queues))

    def hold(self, seconds: float) -> None:
        """Hold messages for *seconds* from now. A longer hold that is in effect stays."""
        self.is_used = True
        self._pace.hold(seconds, self._loop.time())

    def sent(self) -> None:
        """A message is sent now."""
        self._pace.sent(self._loop.time())

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

    def _due(self, now: float) -> float:
        """When the next one that waits may be released, as far as is known *now*."""
        return max(self._pace.due, self._released + self._pace.interval(now))

    def _set_timer(self) -> None:
        if self._timer is None and self._walking is None and any(self._queues):
            now = self._loop.time()
            self._timer = self._loop.call_at(max(self._due(now), now), self._next)

    def _next(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._due(now) > now:
            self._set_timer()
            return
        self._walking = self._first()
        if self._walking is not None:
            self._released = now
            self._walking.set_result(None)
