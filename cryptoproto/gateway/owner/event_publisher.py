"""Publishes the events of the exchange session to the event stream, each once and in order."""

from __future__ import annotations

import asyncio
from typing import Final

import nats.errors
from nats.aio.client import Client as Nats

from ...client import Client
from ...connection import Event
from ..event_codec import encode_event
from ..names import Names
from ..streams import StreamWriter
from .log_store import LogStore

__all__ = ["EventPublisher"]

_BATCH: Final = 500
"""How many events are published before their acknowledgements are awaited."""


class EventPublisher:
    """Takes the client's events and appends them to the stream, in groups of what has arrived.

    Args:
        nc: the connection to NATS, for broadcasts, which are not kept.
        names: of subjects.
        writer: of the event stream.
        client: whose events.
        store: outcomes are in the log before the events that they follow from are published.

    Attributes:
        published: how many events were acknowledged.
        position: the last transaction in the stream; -1 if it is empty.
    """

    def __init__(self, nc: Nats, names: Names, writer: StreamWriter, client: Client, store: LogStore) -> None:
        self.published: int = 0
        self.position: int = -1 if store.position is None else store.position
        self._nc = nc
        self._names = names
        self._writer = writer
        self._client = client
        self._store = store
        self._batch: list[Event] = []
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()

    async def run(self) -> None:
        """Publish until the client is closed.

        Raises:
            OwnershipLost: somebody else publishes, or NATS does not acknowledge.
            CryptoprotoError: what closed the client.
        """
        publishing = asyncio.ensure_future(self._publish())
        taking = asyncio.ensure_future(self._take())
        try:
            await asyncio.wait((publishing, taking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (publishing, taking):
                task.cancel()
            await asyncio.wait((publishing, taking))
        for task in (publishing, taking):
            if not task.cancelled():
                task.result()

    async def _take(self) -> None:
        async for event in self._client.events():
            if event.transaction_id is None:
                await self._broadcast(event)
                continue
            self._batch.append(event)
            self._arrived.set()
            while len(self._batch) >= _BATCH:
                self._taken.clear()
                await self._taken.wait()

    async def _publish(self) -> None:
        while True:
            while not self._batch:
                self._arrived.clear()
                await self._arrived.wait()
            batch, self._batch = self._batch, []
            self._taken.set()
            await self._store.flushed()
            ids = [event.transaction_id or 0 for event in batch]
            messages = [
                encode_event(event, previous) for event, previous in zip(batch, [self.position, *ids], strict=False)
            ]
            await self._writer.append(messages, [str(number) for number in ids])
            self.published += len(batch)
            self.position = ids[-1]

    async def _broadcast(self, event: Event) -> None:
        try:
            await self._nc.publish(self._names.broadcast, event.raw)
        except nats.errors.Error:
            return  # nobody may rely on a broadcast
