"""The clocks of an agent, as an argument: tests pass a simulated one."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """A wall clock that may jump, a steady one that does not, and a way to wait."""

    def wall_ns(self) -> int:
        """UTC in nanoseconds since 1970, by the clock of the machine."""

    def steady_ns(self) -> int:
        """Nanoseconds since an arbitrary moment. Never jumps, and runs on while the machine is suspended."""

    async def sleep(self, seconds: float) -> None:
        """Return after *seconds*, or later."""


class SystemClock:
    """The clocks of this machine."""

    def wall_ns(self) -> int:
        """UTC by the clock of the machine."""
        return time.time_ns()

    def steady_ns(self) -> int:
        """Time since boot, with suspends if the system counts them."""
        boot_time = getattr(time, "CLOCK_BOOTTIME", None)  # Linux only
        return time.monotonic_ns() if boot_time is None else time.clock_gettime_ns(boot_time)

    async def sleep(self, seconds: float) -> None:
        """As :func:`asyncio.sleep`."""
        await asyncio.sleep(seconds)
