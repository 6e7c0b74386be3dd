"""The agent's view of time, as an argument: tests pass one of their own."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """A wall clock that may jump, a steady one that does not, and a way to wait."""

    def wall_ns(self) -> int:
        """UTC in nanoseconds since 1970, as the machine believes."""

    def steady_ns(self) -> int:
        """Nanoseconds since an arbitrary moment; never steps, and goes on while the machine sleeps."""

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*, or later."""


class SystemClock:
    """The clocks of this machine."""

    def wall_ns(self) -> int:
        """UTC as the machine believes."""
        return time.time_ns()

    def steady_ns(self) -> int:
        """Time since boot, suspends included where the system can tell."""
        boot_time = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; elsewhere suspends may not count
        return time.monotonic_ns() if boot_time is None else time.clock_gettime_ns(boot_time)

    async def sleep(self, seconds: float) -> None:
        """As :func:`asyncio.sleep`."""
        await asyncio.sleep(seconds)
