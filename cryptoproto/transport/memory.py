"""Links without a network, for tests and backtests: two ends that exchange messages through the event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from .base import Closed, Listener, OpenOptions, Transport, TransportOpener

__all__ = ["MemoryLink", "memory_opener", "memory_pair"]

_READ_MESSAGES: Final = 100
"""How many messages are delivered as one read."""


class MemoryLink:
    """One end of a link in memory.

    Args:
        listener: who reads at this end.
        delay: seconds of the event loop that a message takes to arrive here.

    Attributes:
        sent: every message sent from this end.
        pings: how many pings were sent from this end.
        hold_writes: while true, this end is not :attr:`writable`, as on a slow network.
    """

    def __init__(self, listener: Listener, delay: float = 0.0) -> None:
        self.sent: list[bytes | str] = []
        self.pings: int = 0
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._peer: MemoryLink | None = None
        self._inbox: deque[bytes | str | Closed | None] = deque()
        self._delay = delay
        self._under_way: deque[bytes | str | Closed | None] = deque()
        self._reading = True
        self._pumping = False
        self._closed = False
        self._writable: asyncio.Future[None] | None = None

    def join(self, peer: MemoryLink) -> None:
        """Connect this end to *peer*."""
        self._peer, peer._peer = peer, self

    @property
    def reading(self) -> bool:
        """Whether this end is reading."""
        return self._reading

    def send(self, data: bytes) -> None:
        """See :class:`~cryptoproto.transport.Transport`."""
        self._post(data)

    def send_many(self, messages: Sequence[bytes]) -> None:
        """See :class:`~cryptoproto.transport.Transport`."""
        for message in messages:
            self._post(message)

    def send_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Transport`."""
        self._post(text)

    def ping(self) -> None:
        """Send a ping; the peer answers it if it is reading."""
        self.pings += 1
        if self._peer is not None and not self._closed:
            self._peer._deliver(None)
            if self._peer._reading:
                self._deliver(None)

    @property
    def hold_writes(self) -> bool:
        """Whether this end simulates a slow network."""
        return self._writable is not None

    @hold_writes.setter
    def hold_writes(self, hold: bool) -> None:
        if hold and self._writable is None:
            self._writable = self._loop.create_future()
        elif not hold and self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    @property
    def remote_address(self) -> str:
        """See :class:`~cryptoproto.transport.Transport`."""
        return ""

    @property
    def writable(self) -> bool:
        """See :class:`~cryptoproto.transport.Transport`."""
        return self._writable is None

    async def drain(self) -> None:
        """See :class:`~cryptoproto.transport.Transport`."""
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        """See :class:`~cryptoproto.transport.Transport`."""
        self._reading = False

    def resume_reading(self) -> None:
        """See :class:`~cryptoproto.transport.Transport`."""
        self._reading = True
        self._schedule()

    def close(self, code: int, reason: str, timeout: float) -> None:
        """Close both ends with the same code, as a real peer would echo it."""
        if not self._closed:
            self._end(Closed(code, reason), Closed(code, reason))

    def abort(self) -> None:
        """Abort the link: to both ends the connection is lost."""
        if not self._closed:
            lost = Closed(None, "the connection was lost")
            self._end(lost, lost)

    def _end(self, here: Closed, there: Closed) -> None:
        self._closed = True
        self.resume_reading()
        self.hold_writes = False
        self._deliver(here)
        peer = self._peer
        if peer is not None and not peer._closed:
            peer._closed = True
            peer.resume_reading()
            peer.hold_writes = False
            peer._deliver(there)

    def _post(self, message: bytes | str) -> None:
        if self._closed or self._peer is None:
            return
        self.sent.append(message)
        self._peer._deliver(message)

    def _deliver(self, item: bytes | str | Closed | None) -> None:
        if self._delay:
            self._under_way.append(item)  # timers for one moment come in any order
            self._loop.call_later(self._delay, self._arrive)
        else:
            self._inbox.append(item)
            self._schedule()

    def _arrive(self) -> None:
        self._inbox.append(self._under_way.popleft())
        self._schedule()

    def _schedule(self) -> None:
        if not self._pumping and self._inbox:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        taken = 0
        while self._inbox and self._reading:
            item = self._inbox.popleft()
            taken += 1
            if item is None:
                self._listener.on_heard()
            elif isinstance(item, bytes):
                self._listener.on_message(item, bool(self._inbox) and taken % _READ_MESSAGES != 0)
            elif isinstance(item, str):
                self._listener.on_text(item)
            else:
                self._inbox.clear()
                self._listener.on_closed(item)


def memory_pair(client: Listener, server: Listener, *, delay: float = 0.0) -> tuple[MemoryLink, MemoryLink]:
    """Two connected ends, both open; a message takes *delay* seconds from one to the other."""
    here, there = MemoryLink(client, delay), MemoryLink(server, delay)
    here.join(there)
    server.on_open(there)
    client.on_open(here)
    return here, there


def memory_opener(make_server_listener: Callable[[], Listener], *, delay: float = 0.0) -> TransportOpener:
    """An opener that connects each link to a new listener from *make_server_listener*; see :func:`memory_pair`."""

    async def open_memory(url: str, listener: Listener, options: OpenOptions) -> Transport:
        return memory_pair(listener, make_server_listener(), delay=delay)[0]

    return open_memory
