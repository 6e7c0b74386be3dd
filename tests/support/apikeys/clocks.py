"""A clock and a ``sleep`` that the test controls."""

from __future__ import annotations

import asyncio

__all__ = ["Clock", "Sleeper"]


class Clock:
    """Seconds that pass only when a test adds to ``now``."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sleeper:
    """A ``sleep`` that ends when the test says so, and then moves the clock forward."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asleep: asyncio.Queue[tuple[float, asyncio.Future[None]]] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asleep.put_nowait((seconds, done))
        await done

    async def pass_one(self) -> float:
        """Wait until something sleeps, let that time pass, and return how long it was."""
        while True:
            seconds, done = await self.asleep.get()
            if not done.done():
                self._clock.now += seconds
                done.set_result(None)
                return seconds
