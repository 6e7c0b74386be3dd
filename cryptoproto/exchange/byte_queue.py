"""A queue that knows how many bytes it holds, so that whatever waits for a peer can be bounded."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["ByteQueue"]

T = TypeVar("T")


class ByteQueue(Generic[T]):
    """First in, first out.

    Attributes:
        size: the bytes of all items in the queue.
    """

    __slots__ = ("_items", "size")

    def __init__(self) -> None:
        self._items: deque[tuple[T, int]] = deque()
        self.size: int = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def first(self) -> T:
        """The item that is next; the queue must not be empty."""
        return self._items[0][0]

    def push(self, item: T, size: int) -> None:
        """Append *item*, which holds *size* bytes."""
        self._items.append((item, size))
        self.size += size

    def pop(self) -> T:
        """Remove and return the first item; the queue must not be empty."""
        item, size = self._items.popleft()
        self.size -= size
        return item

    def clear(self) -> None:
        """Remove all items."""
        self._items.clear()
        self.size = 0
