"""Takes snapshots for all who look, and no more often than an interval allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .snapshot import Snapshot

__all__ = ["Camera"]


class Camera:
    """Shares snapshots: everybody who asks within one interval gets the same one, taken after they asked.

    Nothing is done while nobody asks.

    Args:
        look: makes a snapshot.
        interval_s: the shortest time between two snapshots.
    """

    def __init__(self, look: Callable[[], Snapshot], interval_s: float) -> None:
        self._look = look
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Future[Snapshot | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._earliest = 0.0  # loop time
        self._is_closed = False

    async def fresh(self) -> Snapshot | None:
        """A snapshot that is taken from now on; ``None`` once the camera is closed."""
        if self._is_closed:
            return None
        if self._next is None:
            self._next = self._loop.create_future()
            self._timer = self._loop.call_at(max(self._earliest, self._loop.time()), self._take, self._next)
        return await asyncio.shield(self._next)

    def close(self) -> None:
        """Take no more snapshots; all who wait get ``None``."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    def _take(self, waiting: asyncio.Future[Snapshot | None]) -> None:
        self._next = self._timer = None
        self._earliest = self._loop.time() + self._interval_s
        try:
            waiting.set_result(self._look())
        except Exception as error:  # noqa: BLE001 - raised by everybody who waits for it
            waiting.set_exception(error)
            waiting.exception()  # marks it as retrieved: all who waited may have left
