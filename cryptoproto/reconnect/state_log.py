"""A sequence of states that any number of tasks can follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Generic, TypeVar

__all__ = ["StateLog"]

S = TypeVar("S")

_KEPT: Final = 64


class StateLog(Generic[S]):
    """The current state and the last few before it.

    Followers need no registration, so there is nothing to clean up when one stops. One that is more than 64 states
    behind misses the oldest of them, never the newest.
    """

    __slots__ = ("_changed", "_count", "_ended", "_kept")

    def __init__(self, first: S) -> None:
        self._kept = deque([first], _KEPT)
        self._count = 1  # of all that there ever were
        self._ended = False
        self._changed = asyncio.Event()

    @property
    def current(self) -> S:
        """The newest state."""
        return self._kept[-1]

    @property
    def ended(self) -> bool:
        """Whether the newest state is the last."""
        return self._ended

    def add(self, state: S, *, last: bool = False) -> None:
        """Enter a state; nothing follows the last one."""
        if not self._ended:
            self._kept.append(state)
            self._count += 1
            self._ended = last
            self.notify()

    def notify(self) -> None:
        """Let those in :meth:`changed` look again, whatever it is that they are waiting for."""
        self._changed.set()
        self._changed.clear()  # whoever waits has been woken, and whoever comes now waits for the next time

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def follow(self) -> AsyncIterator[S]:
        """The current state and all that follow, to the last. Cancelling loses nothing."""
        return _Follower(self)

    def after(self, seen: int) -> tuple[int, S] | None:
        """The oldest state kept after the first *seen* ones, with its number; ``None`` where there is none yet."""
        missed = min(self._count - seen, len(self._kept))
        return (self._count - missed + 1, self._kept[-missed]) if missed else None

    @property
    def count(self) -> int:
        """How many states there ever were."""
        return self._count


class _Follower(Generic[S]):
    """Holds nothing that would have to be given back, unlike a generator."""

    __slots__ = ("_log", "_seen")

    def __init__(self, log: StateLog[S]) -> None:
        self._log = log
        self._seen = log.count - 1

    def __aiter__(self) -> AsyncIterator[S]:
        return self

    async def __anext__(self) -> S:
        while (found := self._log.after(self._seen)) is None:
            if self._log.ended:
                raise StopAsyncIteration
            await self._log.changed()
        self._seen, state = found
        return state
