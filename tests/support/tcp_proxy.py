"""A TCP connection that a test can cut: it stalls, or it is reset and refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

__all__ = ["TcpProxy"]


class TcpProxy:
    """Passes everything on to a port of this machine until it is cut.

    Args:
        target: the port.
        source: the loopback address that connections to it come from.

    Attributes:
        port: to connect to.
        source: as above.
    """

    def __init__(self, target: int, source: str = "127.0.0.1") -> None:
        self.port = 0
        self.source = source
        self._target = target
        self._goes_on = asyncio.Event()
        self._goes_on.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, target: int, source: str = "127.0.0.1") -> AsyncIterator[Self]:
        proxy = cls(target, source)
        server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            proxy.reset()
            for task in proxy._tasks:
                task.cancel()
            if proxy._tasks:
                await asyncio.wait(proxy._tasks)

    def stall(self) -> None:
        """Nothing arrives any more, and nobody is told so."""
        self._goes_on.clear()

    def reset(self) -> None:
        """Connections are reset, and new ones at once."""
        self._refuses = True
        for writer in self._writers:
            writer.transport.abort()

    def heal(self) -> None:
        """New connections work again; those that were stalled go on."""
        self._refuses = False
        self._goes_on.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self._target, local_addr=(self.source, 0)
            )
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        task = asyncio.ensure_future(self._pass_both(reader, writer, far_reader, far_writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        ways = [
            asyncio.ensure_future(self._pass(reader, far_writer)),
            asyncio.ensure_future(self._pass(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            for each in (writer, far_writer):
                each.transport.abort()
                self._writers.discard(each)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._goes_on.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return
