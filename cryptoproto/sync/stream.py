"""What is told one after the other, to a thread that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Self, TypeVar

from ..exceptions import ConnectionClosed
from .loop_thread import LoopThread

__all__ = ["Stream"]

T = TypeVar("T")


class Stream(Generic[T]):
    """An iterator over what an asynchronous one gives. It ends when its owner is closed.

    Args:
        thread: where the asynchronous iterator belongs.
        begin: makes it; called in that thread.
        timeout: end the iteration when nothing came for so many seconds; ``None`` = wait for ever. Another loop over
            it goes on where this one ended.
        release: called in that thread when nobody reads any more.
    """

    def __init__(
        self,
        thread: LoopThread,
        begin: Callable[[], AsyncIterator[T]],
        *,
        timeout: float | None = None,
        release: Callable[[AsyncIterator[T]], object] | None = None,
    ) -> None:
        self._thread = thread
        self._timeout = timeout
        self._release = release
        self._arrived: list[T] = []  # one at the most
        self._source: AsyncIterator[T] = thread.call(begin)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """The next one. Ctrl-C loses nothing: what had just arrived comes with the next call."""
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
        """Stop reading."""
        release, self._release = self._release, None
        if release is not None:
            source = self._source
            self._thread.post(lambda: release(source))

    def __del__(self) -> None:
        if hasattr(self, "_source"):
            self.close()


class _Ended(Exception):
    """The iteration is over."""
