"""Rate limiter: messages are sent no faster than the exchange allows, cancels first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Callable

from ..exceptions import ConfigurationError

__all__ = ["RateLimiter"]


class RateLimiter:
    """A token bucket: *rate* turns a second, and up to *burst* at once after a pause.

    Args:
        rate: turns a second; ``None`` = no limit.
        burst: how many turns a pause saves up; those of one second by default.

    Attributes:
        is_limited: whether there is a limit.

    Raises:
        ConfigurationError: *rate* is not greater than zero.
    """

    __slots__ = ("_burst", "_counter", "_loop", "_rate", "_then", "_timer", "_tokens", "_waiters", "is_limited")

    def __init__(self, rate: float | None, burst: float | None = None) -> None:
        if rate is not None and not rate > 0:
            raise ConfigurationError(f"order_rate={rate} must be greater than zero, or None for no limit")
        self.is_limited: bool = rate is not None
        self._rate = math.inf if rate is None else rate
        self._burst = max(1.0, rate or 1.0) if burst is None else burst
        self._tokens = self._burst
        self._loop = asyncio.get_running_loop()
        self._then = self._loop.time()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._counter = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def depth(self) -> int:
        """How many callers wait for their turn."""
        return sum(not waiter.done() for _, _, waiter in self._waiters)

    @property
    def hold(self) -> float:
        """Seconds until the next turn; 0.0 if one is available."""
        if not self.is_limited:
            return 0.0
        self._refill()
        return max(0.0, (1 - self._tokens) / self._rate)

    async def turn(self, *, urgent: bool = False) -> None:
        """Wait for a turn. *urgent* callers go first. If cancelled, the turn passes to the next caller.

        Raises:
            Exception: what :meth:`end` was given.
        """
        if not self.is_limited:
            return
        self._refill()
        if not self._waiters and self._tokens >= 1:
            self._tokens -= 1
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        heapq.heappush(self._waiters, (0 if urgent else 1, next(self._counter), waiter))
        self._set_timer()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._tokens += 1
                self._give()
            raise

    def end(self, make_error: Callable[[], Exception]) -> None:
        """Raise an error in all callers that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiters, self._waiters = self._waiters, []
        for _, _, waiter in waiters:
            if not waiter.done():
                waiter.set_exception(make_error())

    def _refill(self) -> None:
        now = self._loop.time()
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now

    def _set_timer(self) -> None:
        if self._waiters and self._timer is None:
            self._timer = self._loop.call_later(self.hold, self._give)

    def _give(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._refill()
        # Tokens are floating-point numbers, so a whole one may be short by a rounding error.
        while self._waiters and self._tokens > 1 - 1e-6:
            _, _, waiter = heapq.heappop(self._waiters)
            if not waiter.done():
                self._tokens -= 1
                waiter.set_result(None)
        self._set_timer()
