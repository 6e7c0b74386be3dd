"""A stream of items for any number of readers: states, reports."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

__all__ = ["Channel", "Subscription"]

T = TypeVar("T")

_KEPT: Final = 10_000


class Channel(Generic[T]):
    """The publishing end of a stream.

    Args:
        kept: how many items are queued per reader; beyond that, the oldest are dropped.
    """

    def __init__(self, *, kept: int = _KEPT) -> None:
        self._kept = kept
        self._readers: list[Subscription[T]] = []
        self._ended = False

    def subscribe(self, *first: T) -> Subscription[T]:
        """A new reader, which gets *first* and then all items that are published from now on."""
        reader = Subscription(self, first, self._kept)
        if self._ended:
            reader.end()
        else:
            self._readers.append(reader)
        return reader

    def publish(self, item: T) -> None:
        """Add *item* to the queue of every reader."""
        for reader in self._readers:
            reader.put(item)

    def end(self) -> None:
        """End the stream: each reader stops after its queued items."""
        self._ended = True
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.end()

    def leave(self, reader: Subscription[T]) -> None:
        """Remove a reader."""
        if reader in self._readers:
            self._readers.remove(reader)


class Subscription(Generic[T]):
    """One reader's stream; an async iterator. Cancelling loses nothing."""

    def __init__(self, channel: Channel[T], first: tuple[T, ...], kept: int) -> None:
        self._channel = channel
        self._waiting: deque[T] = deque(first, maxlen=kept)
        self._wake: asyncio.Event = asyncio.Event()
        self._ended = False
        if first:
            self._wake.set()

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()

    def put(self, item: T) -> None:
        """Add *item* to the queue."""
        self._waiting.append(item)
        self._wake.set()

    def end(self) -> None:
        """End the stream after the queued items."""
        self._ended = True
        self._wake.set()

    def drain(self) -> list[T]:
        """Take everything that waits, without waiting for more."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def close(self) -> None:
        """Stop reading; queued items can still be read. Idempotent."""
        self._channel.leave(self)
        self.end()
