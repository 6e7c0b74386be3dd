"""Clients on links in memory, to a script or to an exchange, that can be cut at any frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.link import ClientLink
from cryptoproto.transport import Closed, MemoryLink, OpenOptions, Transport, memory_pair
from tests.support.peer import Script
from tests.support.trading import RICH

__all__ = ["Line", "client_of", "next_state", "patient", "trader", "until", "until_state"]

DEADLINE_S = 10_000.0  # of virtual time


class _Tap:
    """Stands between a link and whom it hands its messages to."""

    def __init__(self, line: Line, listener: Any, to: str) -> None:
        self.line = line
        self.listener = listener
        self.to = to
        self.link: MemoryLink | None = None

    def on_open(self, transport: Transport) -> None:
        assert isinstance(transport, MemoryLink)
        self.link = transport
        self.line.links.append(transport)
        self.listener.on_open(transport)

    def on_message(self, data: bytes, more: bool = False) -> None:
        if self.line.passes(self.to):
            self.listener.on_message(data, more)

    def on_text(self, text: str) -> None:
        self.listener.on_text(text)

    def on_heard(self) -> None:
        self.listener.on_heard()

    def on_closed(self, closed: Closed) -> None:
        if self.link in self.line.links:
            self.line.links.remove(self.link)
        self.listener.on_closed(closed)


class Line:
    """The way to an exchange.

    Attributes:
        is_down: whether nobody answers.
        frames: how many frames have passed, in both directions.
        cut_at: the numbers of the frames at which the link is cut; they and all that is under way are lost.
        on_frame: told of each frame before it passes, with where it goes to: ``"exchange"`` or ``"client"``.
        attempts: how often a client tried to connect.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.is_down = False
        self.frames = 0
        self.cut_at: set[int] = set()
        self.on_frame: Callable[[str], None] | None = None
        self.attempts = 0
        self.links: list[MemoryLink] = []

    async def open(self, url: str, listener: Any, options: OpenOptions) -> Transport:
        self.attempts += 1
        if self.is_down:
            raise ConnectionRefusedError(111, "nobody answers")
        self.links.clear()
        return memory_pair(_Tap(self, listener, "client"), _Tap(self, ClientLink(self.exchange), "exchange"))[0]

    def passes(self, to: str) -> bool:
        self.frames += 1
        if self.on_frame is not None:
            self.on_frame(to)
        if self.frames in self.cut_at:
            self.cut()
            return False
        return True

    def cut(self) -> None:
        """Lose the link, and what is under way."""
        for link in self.links:
            link._inbox.clear()
            link._closed = True
            link.hold_writes = False
            link.resume_reading()
            link._deliver(Closed(None, "the connection was lost"))


def client_of(script: Script, key: cp.PrivateKey, **options: Any) -> cp.Client:
    """A client whose exchange is *script*."""
    arguments: dict[str, Any] = {
        "client_id": "alice",
        "private_key": key,
        "server_key": script.private_key.public_key,
        "transport": script.opener(),
        "protocol": cp.Protocol.V5,
    }
    return cp.Client("ws://127.0.0.1:1", **(arguments | options))


def patient(script: Script) -> None:
    """Have every peer of *script* answer requests."""
    script.greeting.append(lambda peer: setattr(peer, "auto_reply", True))


def trader(line: Line, key: cp.PrivateKey, client_id: str = "alice", **options: Any) -> cp.Client:
    """A client of the exchange at the end of *line*, where it is registered with money."""
    line.exchange.register(client_id, key.public_key, RICH)
    arguments: dict[str, Any] = {
        "client_id": client_id,
        "private_key": key,
        "server_key": line.exchange.public_key,
        "transport": line.open,
        "protocol": cp.Protocol.V5,
    }
    return cp.Client("ws://127.0.0.1:1", **(arguments | options))


async def next_state(states: Any) -> cp.StateChange:
    async with asyncio.timeout(DEADLINE_S):
        change: cp.StateChange = await anext(states)
        return change


async def until_state(client: cp.Client, state: cp.State) -> cp.StateChange:
    """Wait until *client* is in *state*."""
    async with asyncio.timeout(DEADLINE_S):
        async for change in client.states():
            if change.state is state and client.state is change:
                return change
    raise AssertionError(f"the client closed before it was {state}: {client.state}")


async def until(condition: Callable[[], bool]) -> None:
    """Let turns of the event loop pass until *condition* is true; no time passes."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never became true")
