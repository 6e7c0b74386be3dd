"""In the place of a gateway: answers calls as a test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

import cryptoproto as cp
from cryptoproto.client.error_row import ErrorRow
from cryptoproto.gateway.calls import (
    Call,
    EventsFrom,
    Hello,
    OpenEvents,
    OwnerState,
    Reply,
    Snapshot,
    TakeSnapshot,
    Welcome,
    decode_call,
    encode,
)
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.nats_connection import close_nats, flush_nats, open_nats

__all__ = ["ScriptedOwner"]


class ScriptedOwner:
    """The owner of alice's session.

    Attributes:
        calls: what has arrived, but greetings.
        fence: of this ownership.
        state: of the link to the exchange.
        position: the last transaction.
        answer: gives the reply to a call, as an object or bytes; ``None`` for what is usual, ``b""`` for no reply.
    """

    def __init__(self, nc: Nats) -> None:
        self.nc = nc
        self.calls: list[Call] = []
        self.fence = 1
        self.state = "live"
        self.position = -1
        self.answer: Callable[[Call], Reply | bytes | None] = lambda call: None
        self._names = Names("alice")
        self._called = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def at(cls, nats_url: str) -> AsyncIterator[Self]:
        nc = Nats()
        await open_nats(nc, nats_url, "owner", inbox="_INBOX.owner")
        owner = cls(nc)
        await nc.subscribe(owner._names.command("*"), cb=owner._on_call)
        await flush_nats(nc)
        try:
            yield owner
        finally:
            await close_nats(nc)

    async def received(self, kind: type[Any], count: int = 1) -> None:
        """Wait until so many calls of that kind have arrived."""
        async with asyncio.timeout(10):
            while sum(isinstance(call, kind) for call in self.calls) < count:
                self._called.clear()
                await self._called.wait()

    async def announce(self) -> None:
        await self.nc.publish(self._names.state, encode(self.now()))

    def now(self) -> OwnerState:
        return OwnerState(self.fence, self.state, "as the test says", self.position)

    def reply(
        self,
        result: Any = None,
        error: cp.CryptoprotoError | None = None,
        *,
        fence: int | None = None,
        pending: bool = False,
    ) -> Reply:
        raw = msgspec.Raw(b"null" if result is None else encode(result))
        return Reply(self.fence if fence is None else fence, time.monotonic(), ErrorRow.of(error), pending, raw)

    async def _on_call(self, message: Msg) -> None:
        call = decode_call(message.data)
        if not isinstance(call, Hello):
            self.calls.append(call)
            self._called.set()
        reply = self.answer(call)
        if reply is None:
            reply = self._usual(call)
        data = reply if isinstance(reply, bytes) else encode(reply)
        if data:
            await self.nc.publish(message.reply, data)

    def _usual(self, call: Call) -> Reply:
        match call:
            case Hello():
                return self.reply(Welcome(1, self.now()))
            case TakeSnapshot():
                return self.reply(Snapshot(self.position, {}, {}))
            case OpenEvents():
                return self.reply(EventsFrom(1))
            case _:
                return self.reply()
