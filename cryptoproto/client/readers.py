"""What iterates over a client's events: one by one, or by the batch."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, Self, TypeVar

from ..connection import Event

__all__ = ["EventBatches", "EventStream", "Reader"]

T = TypeVar("T")


class Reader(Generic[T]):
    """An async iterator, for one task at a time.

    Args:
        number: which of the client's readers this is.
        claim: called with the reader when an iteration begins.
        take: called with the reader; returns what gives the next item.
    """

    __slots__ = ("__weakref__", "_claim", "_take", "number")

    def __init__(
        self, number: int, claim: Callable[[Any], None], take: Callable[[Any], Coroutine[Any, Any, T]]
    ) -> None:
        self.number: int = number
        self._claim = claim
        self._take = take

    def __aiter__(self) -> Self:
        self._claim(self)
        return self

    def __anext__(self) -> Coroutine[Any, Any, T]:
        """The next item; asking for it says that the one before was handled. Cancelling loses nothing."""
        return self._take(self)


class EventStream(Reader[Event]):
    """What :meth:`cryptoproto.Client.events` returns: an async iterator over events, for one task at a time."""

    __slots__ = ()


class EventBatches(Reader[list[Event]]):
    """What :meth:`cryptoproto.Client.batches` returns: an async iterator over lists of events."""

    __slots__ = ()
