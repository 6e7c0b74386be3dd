"""A WebSocket client that knows no manners: it sends what it is told to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.transport import Closed, OpenOptions, Transport, TransportOpener, opener
from cryptoproto.wire import ClientHello, ClientSession, Opened
from cryptoproto.wire.handshake import client_hello

__all__ = ["RawClient", "until_connected"]


class RawClient:
    """The link itself, what came over it, and how it ended."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self.received: asyncio.Queue[bytes] = asyncio.Queue()
        self._transport: Transport | None = None

    # The listener

    def on_open(self, transport: Transport) -> None:
        self._transport = transport

    def on_message(self, data: bytes, more: bool = False) -> None:
        self.received.put_nowait(data)

    def on_text(self, text: str) -> None:
        raise AssertionError(f"the exchange sent a text message: {text}")

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        self.closed.set_result(closed)

    # The words

    @property
    def link(self) -> Transport:
        assert self._transport is not None
        return self._transport

    @classmethod
    @asynccontextmanager
    async def over(cls, open_link: TransportOpener, url: str = "ws://127.0.0.1:1") -> AsyncIterator[RawClient]:
        client = cls()
        await open_link(url, client, OpenOptions())
        try:
            yield client
        finally:
            client.link.abort()
            await client.closed

    @classmethod
    @asynccontextmanager
    async def connected(cls, url: str) -> AsyncIterator[RawClient]:
        async with cls.over(opener("websockets"), url) as client:
            yield client

    async def message(self) -> bytes:
        async with asyncio.timeout(20):
            return await self.received.get()

    async def until_payload(self, words: bytes) -> bytes:
        """The first message with *words* in it."""
        while words not in (message := await self.message()):
            pass
        return message

    def hello(
        self,
        keys: dict[str, cp.PrivateKey],
        *,
        protocol: cp.Protocol = cp.Protocol.SIGNED,
        version: int | None = None,
        resume_from: int = 0,
    ) -> ClientSession:
        """Say hello as alice, with any *version*."""
        session = ClientSession(
            client_id="alice",
            private_key=keys["alice"],
            server_key=keys["exchange"].public_key,
            random=os.urandom,
            protocol=protocol,
            resume_from=resume_from,
        )
        if version is None:
            self.link.send(session.hello())
        else:
            self.link.send(client_hello(ClientHello("alice", 0, bytes(32), version), keys["exchange"].public_key))
        return session

    async def shake_hands(
        self, keys: dict[str, cp.PrivateKey], protocol: cp.Protocol, resume_from: int = 0
    ) -> ClientSession:
        """A session as alice."""
        session = self.hello(keys, protocol=protocol, resume_from=resume_from)
        opened = session.receive(await self.message())
        assert isinstance(opened, Opened)
        self.link.send(opened.proof)
        return session


async def until_connected(exchange: Exchange, client_id: str) -> None:
    """Wait until the handshake of *client_id* has succeeded."""
    async with asyncio.timeout(20):
        while client_id not in exchange.connected_clients:  # noqa: ASYNC110 - the exchange has no event for it
            await asyncio.sleep(0)
