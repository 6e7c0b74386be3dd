"""One stream of states, for everything that reconnects."""

from __future__ import annotations

import asyncio
from typing import Final, Generic, TypeVar

from .subscription import Channel, Subscription

__all__ = ["StateStream"]

S = TypeVar("S")

_KEPT: Final = 64


class StateStream(Generic[S]):
    """The current state, and every change after it for any number of readers.

    A reader that falls more than 64 states behind misses the oldest of them, never the newest.
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
        """Wake everybody in :meth:`changed`, whatever it is that they are waiting for."""
        self._changed.set()
        self._changed.clear()  # whoever waited has been woken; whoever comes now waits for the next change

    async def changed(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def subscribe(self) -> Subscription[S]:
        """The current state, then every change until the last state. Cancelling loses nothing."""
        return self._channel.subscribe(self._current)
