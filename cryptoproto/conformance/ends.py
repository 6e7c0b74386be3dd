"""The script's end of a connection: sends what it is asked to, however wrong, and keeps what it receives."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Final

from ..exceptions import DecodeError, HandshakeError
from ..transport import Closed, Transport
from ..wire import read_market_frame, read_market_hello
from .seen import Seen

__all__ = ["End", "MarketEnd"]

_MOST_KEPT: Final = 10_000  # frames that no step has looked at
_CLOSE_TIMEOUT: Final = 2.0


class End(ABC):
    """One connection. A listener of the transport.

    Attributes:
        gone: whether the connection has ended.
        alive: how many pings, pongs and parts of messages were received.
        on_seen: called with everything that is received; for the transcript.
    """

    def __init__(self) -> None:
        self.gone: bool = False
        self.alive: int = 0
        self.on_seen: Callable[[Seen], Seen] = lambda seen: seen
        self._transport: Transport | None = None
        self._inbox: deque[Seen] = deque()
        self._changed: asyncio.Future[None] | None = None

    @property
    def transport(self) -> Transport:
        """The transport of a connection that was opened."""
        if self._transport is None:
            raise RuntimeError("the connection is not open")
        return self._transport

    @abstractmethod
    def read(self, data: bytes) -> Seen:
        """What a binary message says.

        Raises:
            DecodeError, HandshakeError: it cannot be read.
        """

    # The listener

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        try:
            seen = self.read(data)
        except (DecodeError, HandshakeError) as error:
            seen = Seen("unreadable", arguments=(f"{len(data)} bytes: {error}",))
        self._keep(seen)

    def on_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._keep(Seen("text", arguments=(text[:100],)))

    def on_heard(self) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self.alive += 1
        self._wake()

    def on_closed(self, closed: Closed) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self.gone = True
        if closed.fault is not None:
            self._keep(Seen("unreadable", arguments=(closed.fault,)))
        elif closed.code is None:
            self._keep(Seen("lost"))
        else:
            self._keep(Seen("close", arguments=(closed.code, closed.reason)))

    def _keep(self, seen: Seen) -> None:
        if len(self._inbox) >= _MOST_KEPT:
            self.transport.abort()
            return
        self._inbox.append(self.on_seen(seen))
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None and not changed.done():
            changed.set_result(None)

    # For the runner

    async def next(self, timeout: float) -> Seen | None:
        """The next thing that was received; ``None`` if nothing came within *timeout* seconds."""
        try:
            async with asyncio.timeout(timeout):
                while not self._inbox:
                    await self._change()
        except TimeoutError:
            return None
        return self._inbox.popleft()

    async def sign_of_life(self, timeout: float) -> bool:
        """Whether a ping, or anything else, is received within *timeout* seconds."""
        before = self.alive
        try:
            async with asyncio.timeout(timeout):
                while self.alive == before and not self._inbox:
                    await self._change()
        except TimeoutError:
            return False
        return True

    async def _change(self) -> None:
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def close(self, code: int, reason: str = "") -> None:
        """Close the connection with *code*."""
        self.transport.close(code, reason, _CLOSE_TIMEOUT)

    async def finish(self) -> None:
        """End the connection, if it has not ended."""
        if self._transport is not None and not self.gone:
            self._transport.abort()
            while not self.gone:
                await self._change()


class MarketEnd(End):
    """A reader of market data."""

    def __init__(self) -> None:
        super().__init__()
        self._has_version = False

    def read(self, data: bytes) -> Seen:
        """See :class:`End`."""
        if not self._has_version:
            self._has_version = True
            return Seen("version", arguments=(read_market_hello(data),))
        return Seen.of_payload("market", read_market_frame(data))
