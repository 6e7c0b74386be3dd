"""The timer that lets orders expire."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .venue import Venue

__all__ = ["ExpiryTimer"]

_LONGEST_SLEEP: Final = 60.0
_SHORTEST_SLEEP: Final = 0.05


class ExpiryTimer:
    """One timer for the order that expires first.

    Args:
        expire: called when that order is due, or earlier: after a minute at most, because clocks drift apart.

    Attributes:
        handle: the timer; ``None`` if it is not set.
    """

    def __init__(self, expire: Callable[[], None]) -> None:
        self.handle: asyncio.TimerHandle | None = None
        self._expire = expire

    def set(self, venue: Venue) -> None:
        """Set the timer for the orders of *venue*; if none of them expires, it is not set."""
        due_us = venue.engine.next_expiry()
        self.stop()
        if due_us is not None:
            delay = min(max(_SHORTEST_SLEEP, (due_us - venue.now_us()) / 1_000_000), _LONGEST_SLEEP)
            self.handle = asyncio.get_running_loop().call_later(delay, self._on_due)

    def stop(self) -> None:
        """Cancel the timer."""
        if self.handle is not None:
            self.handle.cancel()
            self.handle = None

    def _on_due(self) -> None:
        self.handle = None
        self._expire()
