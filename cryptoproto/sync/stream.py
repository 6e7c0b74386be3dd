"""Iterating over an asynchronous iterator from another thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Self, TypeVar

from ..exceptions import ConnectionClosed
from .loop_thread import LoopThread

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """An iterator over the items of an asynchronous iterator. It ends when its owner is closed.

    Args:
        thread: the thread of the asynchronous iterator.
        begin: makes the asynchronous iterator; called in that thread.
        what: what the items are, for the repr.
        timeout: end the iteration after so many seconds without an item; ``None`` = wait for ever. The next loop
            continues where this one ended.
        release: called in that thread when the stream is closed.
    """

    def __init__(
        self,
        thread: LoopThread,
        begin: Callable[[], AsyncIterator[T]],
        what: str,
        *,
        timeout: float | None = None,
        release: Callable[[AsyncIterator[T]], object] | None = None,
    ) -> None:
        self._thread = thread
        self._what = what
        self._timeout = timeout
        self._release = release
        self._arrived: list[T] = []  # one at most
        self._source: AsyncIterator[T] = thread.call(begin)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """The next item. Ctrl-C loses nothing: an item that had just arrived is returned by the next call."""
        try:
            arrived = self._thread.run(self._next)
        except _Ended:
            raise StopIteration from None
        except ConnectionClosed:
            if not self._thread.is_running:
                raise StopIteration from None
            raise
        self._arrived.clear()
        return arrived

    async def _next(self) -> T:
        if not self._arrived:
            try:
                async with asyncio.timeout(self._timeout) as deadline:
                    self._arrived.append(await anext(self._source))
            except StopAsyncIteration:
                raise _Ended from None  # StopIteration cannot leave a coroutine
            except TimeoutError:
                if deadline.expired():
                    raise _Ended from None
                raise
        return self._arrived[0]

    def close(self) -> None:
        """Stop reading. Idempotent."""
        release, self._release = self._release, None
        if release is not None:
            source = self._source
            self._thread.post(lambda: release(source))

    def __repr__(self) -> str:
        return f"<sync.Stream of {self._what}>"

    def __del__(self) -> None:
        if hasattr(self, "_source"):
            self.close()


class _Ended(Exception):
    """The iteration is over."""
