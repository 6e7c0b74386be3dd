"""Events by the batch: what one read of the socket has brought."""

from __future__ import annotations

from typing import Self

from .event import Event
from .pump import Pump

__all__ = ["EventBatches"]


class EventBatches:
    """What :meth:`cryptoproto.Connection.batches` returns: an async iterator over lists of events."""

    __slots__ = ("_pump", "_queue")

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._queue = pump.queue

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Event]:
        """The next batch, which has at least one event. Cancelling loses nothing."""
        queue = self._queue
        if not queue.front and not await queue.wait():
            raise StopAsyncIteration
        batch = queue.take()
        if self._pump.paused and queue.low:
            self._pump.resume_reading()
        return batch
