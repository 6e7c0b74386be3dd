"""The states of something that reconnects, for any number of readers."""

from __future__ import annotations

import asyncio
from typing import Final, Generic, TypeVar

from .subscription import Channel, Subscription

__all__ = ["StateStream"]

S = TypeVar("S")

_KEPT: Final = 64


class StateStream(Generic[S]):
    """The current state and every later change, for any number of readers.

    A reader that falls more than 64 states behind misses the oldest, never the newest.
    """

    __slots__ = ("_changed", "_channel", "_current", "_ended")

    def __init__(self, first: S) -> None:
        self._current = first
        self._ended = False
        self._channel: Channel[S] = Channel(kept=_KEPT)
        self._changed = asyncio.Event()

    @property
    def current(self) -> S:
        """The newest state."""
        return self._current

    @property
    def ended(self) -> bool:
        """Whether the newest state is the last."""
        return self._ended

    def publish(self, state: S, *, last: bool = False) -> None:
        """Enter *state*. After the *last* one, further states are ignored."""
        if self._ended:
            return
        self._current = state
        self._channel.publish(state)
        if last:
            self.end()
        else:
            self.notify()

    def end(self) -> None:
        """Make the current state the last one. Readers end when they have read it."""
        self._ended = True
        self._channel.end()
        self.notify()

    def notify(self) -> None:
        """Wake all callers of :meth:`changed`, also for a change other than of the state."""
        self._changed.set()
        self._changed.clear()  # current waiters have been woken; later ones wait for the next change

    async def changed(self) -> None:
        """Wait for the next call of :meth:`publish` or :meth:`notify`."""
        await self._changed.wait()

    def subscribe(self) -> Subscription[S]:
        """Iterate over the current state and all later ones, up to the last. Cancelling loses nothing."""
        return self._channel.subscribe(self._current)
