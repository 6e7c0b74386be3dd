"""Publishes the events of the exchange session to the event stream, each once and in order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

import nats.errors
from nats.aio.client import Client as Nats

from ...client import Client
from ...connection import Event
from ..event_codec import encode_events
from ..names import Names
from ..streams import StreamWriter
from .log_store import LogStore
from .outcome_writer import GATHER_S

__all__ = ["EventPublisher"]

_WAITING: Final = 1_000
"""How many events may wait to be published before no more are taken; until then, the client keeps them."""
_TOGETHER_BYTES: Final = 256 * 1024
"""How large a message with several events may be: a quarter of what NATS takes, if it is not configured."""


class EventPublisher:
    """Takes the client's events and appends them to the stream; what has arrived together is one message.

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
        self._waiting: deque[Event] = deque()
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
        async for events in self._client.batches():
            for event in events:
                if event.transaction_id is None:
                    await self._broadcast(event)
                else:
                    self._waiting.append(event)
            self._arrived.set()
            while len(self._waiting) >= _WAITING:
                self._taken.clear()
                await self._taken.wait()

    async def _publish(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            # An outcome may be written with the next command, instead of being written by itself before its events.
            await self._store.flushed(at_once=False)
            if self._store.has_open:
                # The reply to a command must not wait for the work of publishing the events around it.
                await asyncio.sleep(GATHER_S)
            await self._store.wait_sent(GATHER_S)  # afterwards there is time, until the exchange has answered
            events = self._next_events()
            await self._store.flushed()
            last = events[-1].transaction_id or 0
            await self._writer.append(encode_events(events, self.position), str(last))
            self.published += len(events)
            self.position = last

    def _next_events(self) -> list[Event]:
        events: list[Event] = []
        size = 0
        while self._waiting and (not events or size + len(self._waiting[0].raw) <= _TOGETHER_BYTES):
            events.append(event := self._waiting.popleft())
            size += len(event.raw)
        self._taken.set()
        return events

    async def _broadcast(self, event: Event) -> None:
        try:
            await self._nc.publish(self._names.broadcast, event.raw)
        except nats.errors.Error:
            return  # nobody may rely on a broadcast
