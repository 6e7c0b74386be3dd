"""A TCP proxy between a client and an exchange, which breaks connections as it is ordered to."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, Self, TypeAlias

from tests.support.websocket_frames import PONG, FrameScanner

__all__ = ["FAULTS", "FAULTS_OVER_TLS", "Fault", "FaultKind", "FaultProxy"]

FaultKind: TypeAlias = Literal["cut", "reset", "stall", "half open", "one byte", "late pongs", "corrupt"]
Direction: TypeAlias = Literal["up", "down"]

FAULTS: Final[dict[FaultKind, int]] = {
    "cut": 50,
    "reset": 30,
    "one byte": 8,
    "late pongs": 4,
    "stall": 4,
    "half open": 4,
}
"""How often each is drawn. A changed byte is missing: without TLS, nothing in the protocol has to notice it."""
FAULTS_OVER_TLS: Final[dict[FaultKind, int]] = {
    "cut": 40, "reset": 25, "corrupt": 20, "one byte": 7, "stall": 4, "half open": 4,
}  # fmt: skip
"""The same over TLS, where a proxy cannot tell a pong from other frames."""
_FARTHEST: Final = 6000  # bytes before a fault strikes: from within the handshake to many frames later
_ABORT: Final = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


@dataclass
class Fault:
    """What is to happen to a connection, once.

    Attributes:
        kind: ``cut`` closes both ends, ``reset`` resets them, ``stall`` holds everything back for *seconds*, ``half
            open`` only one direction, ``one byte`` sends so many *bytes* one by one, ``late pongs`` holds pongs back
            for *seconds*, ``corrupt`` changes a bit.
        direction: in which the bytes are counted: ``up`` to the exchange, ``down`` to the client.
        after: how many bytes pass before it strikes, over several connections if the first ends earlier.
        seconds, bytes: see above.
        struck: set when it has begun.
    """

    kind: FaultKind
    direction: Direction
    after: int
    seconds: float = 0.0
    bytes: int = 200
    struck: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @classmethod
    def drawn(cls, choice: random.Random, weights: dict[FaultKind, int], longest_s: float) -> Self:
        """A fault by chance; half of them strike early, within the handshake or close to it."""
        (kind,) = choice.choices(list(weights), list(weights.values()))
        after = choice.randrange(1500) if choice.random() < 0.5 else choice.randrange(_FARTHEST)
        return cls(kind, choice.choice(("up", "down")), after, choice.uniform(0.0, longest_s))


class _Cut(Exception):
    """The connection is over."""


class FaultProxy:
    """Passes connections on to *upstream*, a port of this machine.

    Attributes:
        tls: whether they are encrypted, so that no frames can be seen.
        port: where it listens.
        connections: how many there were.
        struck: how many faults of each kind there were.
    """

    def __init__(self, upstream: int, *, tls: bool) -> None:
        self.port = 0
        self.tls = tls
        self.connections = 0
        self.struck: Counter[str] = Counter()
        self._upstream = upstream
        self._armed: Fault | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, upstream: int, *, tls: bool = False) -> AsyncIterator[Self]:
        proxy = cls(upstream, tls=tls)
        server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            for task in proxy._tasks:
                task.cancel()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)
            await server.wait_closed()

    def arm(self, fault: Fault) -> None:
        """Have *fault* strike; one at a time."""
        assert self._armed is None
        self._armed = fault

    def due(self, direction: Direction, size: int) -> tuple[Fault | None, int]:
        """Whether a fault strikes within the next *size* bytes, and how many pass before it."""
        fault = self._armed
        if fault is None or fault.direction != direction:
            return None, size
        if fault.after >= size:
            fault.after -= size
            return None, size
        self._armed = None
        self.struck[fault.kind] += 1
        fault.struck.set()
        return fault, fault.after

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.close()
            return
        link = _Link(self, (writer, forth))
        try:
            await asyncio.gather(link.carry(reader, forth, "up"), link.carry(back, writer, "down"))
        finally:
            link.close()


class _Link:
    """Two connections that are one to both ends."""

    def __init__(self, proxy: FaultProxy, writers: Sequence[asyncio.StreamWriter]) -> None:
        self._proxy = proxy
        self._writers = writers
        self._open = asyncio.Event()
        self._open.set()

    def close(self) -> None:
        for writer in self._writers:
            writer.close()

    def reset(self) -> None:
        for writer in self._writers:
            made = writer.get_extra_info("socket")
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
        """Pass on what *reader* gets, until its end or the end of the connection."""
        try:
            await _Direction(self._proxy, self, writer, direction).run(reader)
            writer.write_eof()
        except (_Cut, OSError):
            self.close()

    async def stall(self, seconds: float) -> None:
        self._open.clear()
        await asyncio.sleep(seconds)
        self._open.set()

    async def passable(self) -> None:
        await self._open.wait()


class _Direction:
    """One direction of a connection."""

    def __init__(self, proxy: FaultProxy, link: _Link, writer: asyncio.StreamWriter, direction: Direction) -> None:
        self._proxy = proxy
        self._link = link
        self._writer = writer
        self._direction: Direction = direction
        self._one_by_one = 0  # bytes
        self._frames = None if proxy.tls else FrameScanner()
        self._pongs_wait_s = 0.0
        self._pong = b""
        self._at_boundary = True
        self._due: list[bytes] = []

    async def run(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 16):
            while data:
                await self._link.passable()
                fault, size = self._proxy.due(self._direction, len(data))
                await self._pass(data[:size])
                data = data[size:]
                if fault is not None:
                    data = await self._carry_out(fault, data)

    async def _carry_out(self, fault: Fault, data: bytes) -> bytes:
        if fault.kind == "cut":
            raise _Cut
        if fault.kind == "reset":
            self._link.reset()
            raise _Cut
        if fault.kind == "stall":
            await self._link.stall(fault.seconds)
        elif fault.kind == "half open":
            await asyncio.sleep(fault.seconds)
        elif fault.kind == "one byte":
            self._one_by_one = fault.bytes
        elif fault.kind == "late pongs":
            self._pongs_wait_s = fault.seconds
        else:
            data = bytes([data[0] ^ 1 << fault.bytes % 8]) + data[1:]
        return data

    async def _pass(self, data: bytes) -> None:
        while self._one_by_one and data:
            self._write(data[:1])
            await asyncio.sleep(0)
            data = data[1:]
            self._one_by_one -= 1
        self._write(data)
        await self._writer.drain()

    def _write(self, data: bytes) -> None:
        if self._writer.is_closing():
            raise _Cut
        if self._frames is None:
            self._writer.write(data)
            return
        for opcode, piece, ends in self._frames.feed(data):
            if opcode == PONG and self._pongs_wait_s:
                self._pong += piece
                if ends:
                    asyncio.get_running_loop().call_later(self._pongs_wait_s, self._release, self._pong)
                    self._pong = b""
                continue
            if self._at_boundary:
                self._write_late()
            self._writer.write(piece)
            self._at_boundary = ends

    def _release(self, pong: bytes) -> None:
        self._due.append(pong)
        if self._at_boundary:
            self._write_late()

    def _write_late(self) -> None:
        """Between two frames: elsewhere it would be part of one."""
        if self._due and not self._writer.is_closing():
            self._writer.write(b"".join(self._due))
        self._due.clear()
