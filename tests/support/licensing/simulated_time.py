"""A clock that stands until it is moved, and then moves from sleeper to sleeper."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Final

SECOND: Final = 1_000_000_000
START_NS: Final = 1_790_000_000 * SECOND


class SimulatedClock:
    """Implements ``cryptoproto.licensing.Clock``; ``wall_error_s`` makes the wall clock wrong, the true time stays."""

    def __init__(self) -> None:
        self._steady_ns = 0
        self.wall_error_s = 0.0
        self.sleepers_expected = 1
        self._numbers = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._came = asyncio.Event()

    def true_ns(self) -> int:
        return START_NS + self._steady_ns

    def wall_ns(self) -> int:
        return self.true_ns() + int(self.wall_error_s * SECOND)

    def steady_ns(self) -> int:
        return self._steady_ns

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._steady_ns + int(seconds * SECOND), next(self._numbers), future)
        heapq.heappush(self._sleepers, entry)
        self._came.set()
        try:
            await future
        except asyncio.CancelledError:
            self._sleepers.remove(entry)
            heapq.heapify(self._sleepers)
            raise

    def leave(self) -> None:
        """One sleeper less is expected."""
        self.sleepers_expected -= 1
        self._came.set()

    async def settled(self) -> None:
        """Wait until everybody sleeps on this clock, so that nothing happens unless time moves."""
        async with asyncio.timeout(30):  # only a bug gets here
            while len(self._sleepers) < self.sleepers_expected:
                self._came.clear()
                await self._came.wait()

    async def advance(self, seconds: float) -> None:
        """Move on, waking every sleeper at its time and letting it finish what it does."""
        end = self._steady_ns + int(seconds * SECOND)
        while await self.step(end):
            pass
        self._steady_ns = end

    async def step(self, end_ns: int) -> bool:
        """Move to the next sleeper's time and let it finish; whether there was one up to *end_ns*."""
        await self.settled()
        if not self._sleepers or self._sleepers[0][0] > end_ns:
            return False
        moment, _, future = heapq.heappop(self._sleepers)
        self._steady_ns = max(self._steady_ns, moment)
        future.set_result(None)
        await self.settled()
        return True
