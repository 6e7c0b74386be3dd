"""Regular pings, and the detection of a silent link."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Heartbeat"]


class Heartbeat:
    """Sends a ping every *interval* seconds and reports a silence of *timeout* seconds (protocol: 4 s and 10 s).

    Messages only set :attr:`heard`, which costs almost nothing; the clock is read only when a ping is due. A silence is
    therefore detected after *timeout*, or up to *interval* later. A link on which only pongs are received is healthy,
    and there is always time for a ping to be answered before silence is reported.

    Args:
        loop: provides the clock and the timers.
        interval: seconds between pings.
        timeout: seconds of silence to report; ``None`` = never.
        ping: sends a ping.
        deaf: whether reading is paused, so that silence cannot be observed.
        on_silence: called once when the silence has lasted too long; no more pings are sent afterwards.

    Attributes:
        heard: set to true by the owner whenever anything is received.
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
        self.heard: bool = False
        self._loop = loop
        self._interval = interval
        self._timeout = timeout
        self._ping = ping
        self._deaf = deaf
        self._on_silence = on_silence
        self._last = self._next_ping = 0.0
        self._pinged: float | None = None  # when the first ping since the last sign of life was sent
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start pinging and measuring silence."""
        self._last = self._loop.time()
        self._next_ping = self._last + self._interval
        self._set_timer()

    def stop(self) -> None:
        """Stop sending pings and reporting silence. Idempotent."""
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
        # While reading is paused, because events are not consumed, silence cannot be told from a full queue.
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
