"""The clock of a recording that is played back."""

from __future__ import annotations

import asyncio

__all__ = ["RecordedClock"]


class RecordedClock:
    """Unix time in nanoseconds: begins with a recording, and passes as the clock of the event loop does.

    Args:
        start_ns: the time until :meth:`begin`.
        speed: how many seconds pass in one second of the event loop.
    """

    def __init__(self, start_ns: int, speed: float = 1.0) -> None:
        self._speed = speed
        self._base_ns = start_ns
        self._begin_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def has_begun(self) -> bool:
        """Whether time passes."""
        return self._loop is not None

    def begin(self, now_ns: int) -> None:
        """Let time pass from here on."""
        self._loop = asyncio.get_running_loop()
        self._begin_s = self._loop.time()
        self._base_ns = now_ns

    def __call__(self) -> int:
        """The time, to the microsecond."""
        if self._loop is None:
            return self._base_ns
        return self._base_ns + round((self._loop.time() - self._begin_s) * self._speed * 1e6) * 1000
