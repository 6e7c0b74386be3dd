"""Pings on time, and the end of a link on which nothing is heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Heartbeat"]


class Heartbeat:
    """Sends a ping every *interval* seconds and reports a silence of *timeout* (protocol: 4 s and 10 s).

    Messages only set :attr:`heard`, which costs next to nothing; the clock is read when a ping is due. So a silence is
    noticed when it has lasted for *timeout*, or at most *interval* longer. A link on which nothing but pongs is heard
    is healthy: it is never given up before a ping had the time to be answered.

    Attributes:
        heard: set to true whenever anything arrives.
    """

    __slots__ = (
        "_deaf", "_interval", "_last", "_loop", "_next_ping", "_on_silence", "_ping", "_pinged", "_timeout", "_timer",
        "heard",
    )  # fmt: skip

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        interval: float,
        timeout: float | None,
        ping: Callable[[], None],
        deaf: Callable[[], bool],
        on_silence: Callable[[], None],
    ) -> None:
        self.heard = False
        self._loop = loop
        self._interval = interval
        self._timeout = timeout
        self._ping = ping
        self._deaf = deaf
        self._on_silence = on_silence
        self._last = self._next_ping = 0.0
        self._pinged: float | None = None  # when the first ping since then was sent
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to count."""
        self._last = self._loop.time()
        self._next_ping = self._last + self._interval
        self._set_timer()

    def stop(self) -> None:
        """Send and report nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deadline(self) -> float | None:
        if self._timeout is None or self._pinged is None:
            return None
        return max(self._last + self._timeout, self._pinged + min(self._timeout, self._interval))

    def _set_timer(self) -> None:
        deadline = self._deadline()
        due = self._next_ping if deadline is None else min(self._next_ping, deadline)
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        now = self._loop.time()
        # Who does not read the socket, because events are not taken, cannot tell silence from a queue.
        if self.heard or self._deaf():
            self.heard = False
            self._last = now
            self._pinged = None
        deadline = self._deadline()
        if deadline is not None and now >= deadline:
            self._timer = None
            self._on_silence()
            return
        if now >= self._next_ping:
            self._ping()
            self._next_ping = now + self._interval
            if self._pinged is None:
                self._pinged = now
        self._set_timer()
