"""Rate limiter: messages leave no faster than the exchange allows, cancels first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from ..exceptions import ConfigurationError

__all__ = ["RateLimiter"]


class RateLimiter:
    """Gives turns: *rate* a second, *burst* at once after a pause.

    Args:
        rate: turns a second; ``None`` gives every turn at once.
        burst: how many turns a pause saves up; a second's worth by default.

    Attributes:
        is_limited: whether turns are ever waited for.
    """

    __slots__ = ("_burst", "_counter", "_loop", "_rate", "_then", "_timer", "_tokens", "_waiters", "is_limited")

    def __init__(self, rate: float | None, burst: float | None = None) -> None:
        if rate is not None and not rate > 0:
            raise ConfigurationError(f"order_rate={rate} must be greater than zero, or None for no pacing")
        self.is_limited = rate is not None
        self._rate = rate
        self._burst = max(1.0, rate or 1.0) if burst is None else burst
        self._tokens = self._burst
        self._loop = asyncio.get_running_loop()
        self._then = self._loop.time()
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._counter = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def depth(self) -> int:
        """How many wait for their turn."""
        return sum(not waiter.done() for _, _, waiter in self._waiters)

    @property
    def hold(self) -> float:
        """Seconds until the next turn, 0.0 when there is one."""
        if self._rate is None:
            return 0.0
        self._refill(self._rate)
        return max(0.0, (1 - self._tokens) / self._rate)

    async def turn(self, *, urgent: bool = False) -> None:
        """Wait for a turn; *urgent* ones overtake the others. Cancelling gives the turn to the next."""
        if self._rate is None:
            return
        self._refill(self._rate)
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
        """Fail all who wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waiters, self._waiters = self._waiters, []
        for _, _, waiter in waiters:
            if not waiter.done():
                waiter.set_exception(make_error())

    def _refill(self, rate: float) -> None:
        now = self._loop.time()
        self._tokens = min(self._burst, self._tokens + (now - self._then) * rate)
        self._then = now

    def _set_timer(self) -> None:
        if self._waiters and self._timer is None:
            self._timer = self._loop.call_later(self.hold, self._give)

    def _give(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._rate is not None:
            self._refill(self._rate)
        # A token is counted in floating point: what lacks less than a millionth of one is there.
        while self._waiters and self._tokens > 1 - 1e-6:
            _, _, waiter = heapq.heappop(self._waiters)
            if not waiter.done():
                self._tokens -= 1
                waiter.set_result(None)
        self._set_timer()
