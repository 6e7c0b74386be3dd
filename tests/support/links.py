"""Links over real sockets with either library, and a listener that records what happens."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cryptoproto.transport import Closed, OpenOptions, Transport, TransportKind, opener, serve

KINDS: list[TransportKind] = ["websockets", "picows"]


class Recorder:
    """A listener that keeps what it is told and lets a test wait for it."""

    def __init__(self) -> None:
        self.transport: Transport | None = None
        self.log: list[object] = []
        self.heard = 0
        self.calls = 0
        self.promises = 0
        self.broken_promises = 0
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Condition()
        self.echo = False

    def on_open(self, transport: Transport) -> None:
        self.transport = transport
        self._wake()

    def on_message(self, data: bytes, more: bool = False) -> None:
        self.log.append(data)
        if more:
            self.promises += 1
            asyncio.get_running_loop().call_soon(self._look, self.calls + 1)
        if self.echo and self.transport is not None:
            self.transport.send(data)
        self._wake()

    def on_text(self, text: str) -> None:
        self.log.append(text)
        self._wake()

    def on_heard(self) -> None:
        self.heard += 1
        self._wake()

    def on_closed(self, closed: Closed) -> None:
        self.closed.set_result(closed)
        self._wake()

    def _look(self, calls: int) -> None:
        """More was promised in the turn of the loop that has ended."""
        self.broken_promises += self.calls == calls

    def _wake(self) -> None:
        self.calls += 1
        self._waker = asyncio.ensure_future(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(condition)


@asynccontextmanager
async def listening(
    kind: TransportKind, max_bytes: int = 2**20, ssl: ssl_module.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[Recorder]]]:
    ends: list[Recorder] = []

    def make() -> Recorder:
        ends.append(Recorder())
        return ends[-1]

    server = await serve(make, "127.0.0.1", 0, kind=kind, ssl=ssl, max_message_bytes=max_bytes)
    try:
        yield f"{'wss' if ssl else 'ws'}://127.0.0.1:{server.sockets[0].getsockname()[1]}", ends
    finally:
        server.close()
        for end in ends:
            if end.transport is not None and not end.closed.done():
                end.transport.abort()
                await end.closed


@asynccontextmanager
async def linked(
    client_kind: TransportKind, server_kind: TransportKind, max_bytes: int = 2**20
) -> AsyncIterator[tuple[Recorder, Transport, Recorder, Transport]]:
    async with listening(server_kind, max_bytes) as (url, ends):
        client = Recorder()
        link = await opener(client_kind)(url, client, OpenOptions(max_message_bytes=max_bytes))
        assert client.transport is link
        await ends[0].until(lambda: ends[0].transport is not None)
        there = ends[0].transport
        assert there is not None
        try:
            yield client, link, ends[0], there
        finally:
            if not client.closed.done():
                link.abort()
                await client.closed
