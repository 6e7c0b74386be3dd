"""A network in memory: bytes arrive in order and late, links break at any byte, and whoever does not read stalls it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from cryptoproto.transport import Closed, Listener, ListenerFactory, OpenOptions, Transport, TransportOpener
from tests.support.simulation.processes import CURRENT

__all__ = ["LinkEnd", "Network", "Server"]

_FRAME_BYTES: Final = 6  # the header of a WebSocket frame
_READ_MESSAGES: Final = 100
_LOST: Final = Closed(None, "the connection was lost")


class _Sent(NamedTuple):
    """Something on its way; *item* is a message, ``None`` for a ping, ``"pong"``, or how the link ends."""

    due: float
    size: int
    item: bytes | Closed | str | None


class LinkEnd:
    """One end of a link.

    Attributes:
        peer: the other end.
        owner: the process that it belongs to.
        in_flight: bytes sent to the peer that it has not read.
        most_in_flight: the most that there ever were.
        cut_after: how many more bytes the other end receives before the link breaks; ``None`` = any number.
        swallows: whether what is sent from here disappears.
        slow_until: before this time nothing arrives here.
    """

    def __init__(self, network: Network, listener: Listener, owner: str, name: str, context: Context) -> None:
        self.peer: LinkEnd = self
        self.owner = owner
        self.name = name
        self.in_flight = 0
        self.most_in_flight = 0
        self.cut_after: int | None = None
        self.swallows = False
        self.slow_until = 0.0
        self.is_closed = False
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._context = context  # what arrives here is handled by the process of this end, whoever has sent it
        self._process = context.get(CURRENT)
        self._listener = listener
        self._choice = random.Random(name + str(network.seed))
        self._inbox: deque[_Sent] = deque()
        self._last_due = 0.0
        self._reading = True
        self._closing = False
        self._pump: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._writable: asyncio.Future[None] | None = None

    # Transport

    def send(self, data: bytes) -> None:
        if not self._closing:
            self._send(data, len(data) + _FRAME_BYTES)

    def send_many(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.send(message)

    def send_text(self, text: str) -> None:
        raise NotImplementedError

    def ping(self) -> None:
        if not self._closing:
            self._send(None, _FRAME_BYTES)

    @property
    def remote_address(self) -> str:
        return ""

    @property
    def writable(self) -> bool:
        return self._writable is None

    async def drain(self) -> None:
        if self._writable is not None:
            await asyncio.shield(self._writable)

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._schedule()

    def close(self, code: int, reason: str, timeout: float) -> None:
        if not self.is_closed and not self._closing:
            self._send(Closed(code, reason), _FRAME_BYTES + len(reason))
            self._closing = True
            self._patience = self._loop.call_later(timeout, self.abort)
            self.resume_reading()

    def abort(self) -> None:
        if not self.is_closed:
            self._emit(self._reset)
            self.finish(_LOST)

    # The network

    def _send(self, item: bytes | Closed | str | None, size: int) -> None:
        if self.is_closed:
            return
        self.in_flight += size
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.in_flight >= self._network.window and self._writable is None:
            self._writable = self._loop.create_future()
        self._emit(partial(self._transmit, item, size))

    def _emit(self, send: Callable[[], None]) -> None:
        """Let it leave, unless the process of this end is stopped."""
        if self._process is None:
            send()
        else:
            self._process.send("exchange", send)

    def _reset(self) -> None:
        if not self.swallows:
            self.peer.arrive(Closed(None, "the connection was reset"), 0)

    def _transmit(self, item: bytes | Closed | str | None, size: int) -> None:
        if self.swallows:
            return
        if self.cut_after is not None:
            self.cut_after -= size
            if self.cut_after < 0:
                self._network.lose(self)
                return
        self.peer.arrive(item, size)

    def arrive(self, item: bytes | Closed | str | None, size: int) -> None:
        """Something was sent to this end."""
        if not self.is_closed:
            due = self._loop.time() + self._network.delay(self._choice)
            self._last_due = max(due, self._last_due)
            self._inbox.append(_Sent(self._last_due, size, item))
            self._schedule()

    def drop(self) -> None:
        """Lose what is on its way to this end."""
        self._inbox.clear()

    def finish(self, closed: Closed) -> None:
        """The link has ended here."""
        if self.is_closed:
            return
        self.is_closed = self._closing = True
        self._network.left(self)
        self._inbox.clear()
        for timer in (self._pump, self._patience):
            if timer is not None:
                timer.cancel()
        self._read(self.in_flight)
        self._network.trace(self.name, "closed", closed.code)
        self._loop.call_soon(self._listener.on_closed, closed, context=self._context)

    def _schedule(self) -> None:
        if self._pump is None and self._inbox and self._reading and not self.is_closed:
            self._pump = self._loop.call_at(
                max(self._inbox[0].due, self.slow_until), self._deliver, context=self._context
            )

    def _deliver(self) -> None:
        self._pump = None
        now = self._loop.time()
        batch: list[_Sent] = []
        while self._reading and self._inbox and self._inbox[0].due <= now and len(batch) < _READ_MESSAGES:
            batch.append(self._inbox.popleft())
        self._network.trace(self.name, *(sent.size for sent in batch))
        for place, sent in enumerate(batch, 1):
            self.peer._read(sent.size)
            if isinstance(sent.item, Closed):
                self._on_close(sent.item)
            elif isinstance(sent.item, bytes):
                self._listener.on_message(sent.item, place < len(batch))
            else:
                self._listener.on_heard()
                if sent.item is None and not self._closing:
                    self._send("pong", _FRAME_BYTES)
            if self.is_closed:
                return
        self._schedule()

    def _on_close(self, closed: Closed) -> None:
        self._listener.on_heard()
        if closed.code is not None and not self._closing:
            self._send(closed, _FRAME_BYTES)
        self.finish(closed)

    def _read(self, size: int) -> None:
        """The peer has read *size* bytes."""
        self.in_flight = max(0, self.in_flight - size)
        if self._writable is not None and (self.is_closed or self.in_flight <= self._network.window // 2):
            writable, self._writable = self._writable, None
            writable.set_result(None)


class Server:
    """What listens on a port, as :class:`asyncio.Server`."""

    def __init__(self, network: Network, port: int, make_listener: ListenerFactory) -> None:
        self.sockets = [self]
        self._network = network
        self._port = port
        self._make_listener = make_listener

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", self._port

    def close(self) -> None:
        if self._network.ports.get(self._port) is self._make_listener:
            del self._network.ports[self._port]


class Network:
    """All links of a world.

    Args:
        seed: draws delays.
        latency: of one direction, in seconds.
        jitter: the most that is added to it.
        window: how many bytes may be in flight before a link is not writable.
        trace: told of everything that arrives.

    Attributes:
        ports: who listens.
        ends: all ends of links that have not ended.
        is_down: whether nobody can be reached.
        swallows: whether new connections get no answer.
        most_in_flight: the most bytes that were in flight in one direction of a link.
    """

    def __init__(self, seed: int, latency: float, jitter: float, window: int, trace: Callable[..., None]) -> None:
        self.seed = seed
        self.latency = latency
        self.jitter = jitter
        self.window = window
        self.trace = trace
        self.ports: dict[int, ListenerFactory] = {}
        self.ends: list[LinkEnd] = []
        self.is_down = False
        self.swallows = False
        self.most_in_flight = 0
        self._opened: Counter[str] = Counter()
        self._last_port = 1000

    def delay(self, choice: random.Random) -> float:
        # Nothing happens at the same time, so the order of things does not depend on that of a set.
        return self.latency + (self.jitter + 1e-6) * choice.random()

    async def serve(self, make_listener: ListenerFactory, host: str, port: int, **_: Any) -> Server:
        """In the place of :func:`cryptoproto.transport.serve`."""
        if not port:
            self._last_port += 1
            port = self._last_port
        if port in self.ports:
            raise OSError(98, "address already in use")
        self.ports[port] = make_listener
        return Server(self, port, make_listener)

    def opener(self, owner: str) -> TransportOpener:
        """What opens links for the process *owner*."""
        elsewhere = copy_context()  # the exchange is no part of the process that opens a link

        async def open_link(url: str, listener: Listener, options: OpenOptions) -> Transport:
            self._opened[owner] += 1
            name = f"{owner}/{self._opened[owner]}"
            await asyncio.sleep(2 * self.delay(random.Random(f"{self.seed} {name}")))
            if self.swallows:
                await asyncio.get_running_loop().create_future()
            factory = self.ports.get(urlsplit(url).port or 0)
            if self.is_down or factory is None:
                raise ConnectionRefusedError(111, "nobody answers")
            there = elsewhere.copy().run(factory)
            server = LinkEnd(self, there, "exchange", f"{name} up", elsewhere)
            client = LinkEnd(self, listener, owner, name, copy_context())
            server.peer, client.peer = client, server
            self.ends += [server, client]
            elsewhere.copy().run(there.on_open, server)
            listener.on_open(client)
            return client

        return open_link

    def of(self, owner: str) -> list[LinkEnd]:
        """The ends that a process has."""
        return [end for end in self.ends if end.owner == owner]

    def left(self, end: LinkEnd) -> None:
        """A link has ended at *end*."""
        self.most_in_flight = max(self.most_in_flight, end.most_in_flight)
        if end in self.ends:
            self.ends.remove(end)

    def lose(self, end: LinkEnd, *, silent: LinkEnd | None = None) -> None:
        """Break a link: what is on its way is lost. An end that is *silent* does not learn of it."""
        for each in (end, end.peer):
            each.drop()
            each.swallows = True
            if each is not silent:
                each.finish(_LOST)

    def sever(self, owner: str, *, reset: bool) -> None:
        """A process is gone: nothing reaches it and nothing leaves it any more.

        With *reset* its peers learn of it; otherwise its machine is gone, too, and they hear nothing.
        """
        for end in self.of(owner):
            peer = end.peer
            end.swallows = peer.swallows = True
            peer.drop()
            if reset:
                peer.arrive(Closed(None, "the connection was reset"), 0)
            end.finish(_LOST)
