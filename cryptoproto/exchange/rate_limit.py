"""The rate limit: how many messages a client may send, and the level of throttling beyond that."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["RateLimit"]

_PATIENCE: Final = 2000.0


class RateLimit:
    """A leaky bucket for one client.

    It accepts *per_second* messages a second, with bursts of one second's worth. Messages beyond that count as queued:
    each is answered with a throttling frame whose level is the number of messages too many. A client that pauses
    ``level`` milliseconds, as is customary, settles at a level of ``1000 / per_second``. A client whose level grows to
    twice that, and beyond another second's worth, ignores throttling.

    Args:
        per_second: messages a second, greater than zero.
        now: the time in seconds of any clock; the same clock is read by the caller of :meth:`count`.
    """

    __slots__ = ("_per_second", "_queued", "_then", "_worst")

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._worst = max(per_second, _PATIENCE / per_second)
        self._queued = 0.0
        self._then = now

    def count(self, now: float) -> int:
        """Count one message; return how many there are too many now."""
        self._queued = max(0.0, self._queued - (now - self._then) * self._per_second) + 1
        self._then = now
        return max(0, math.ceil(self._queued - max(1.0, self._per_second)))

    def exhausted(self, level: int) -> bool:
        """Whether a client at this *level* ignores throttling and must be disconnected."""
        return level > self._worst
