"""A subscription as an async iterator, and its messages."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import msgspec

from ..exceptions import ConnectionClosed, CryptoprotoError, DecodeError
from ..messages import MALFORMED
from .stomp_frames import Frame

__all__ = ["AckMode", "StompMessage", "Subscription"]

AckMode = Literal["auto", "client", "client-individual"]


class _Owner(Protocol):
    """What a subscription needs from its connection."""

    def acknowledge(self, message: StompMessage, *, positive: bool = True) -> Awaitable[None]: ...

    def unsubscribe(self, subscription: Subscription) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class StompMessage:
    """One message.

    Attributes:
        headers: the headers of its frame, unescaped.
        body: its bytes.
    """

    headers: Mapping[str, str]
    body: bytes
    _owner: _Owner

    @property
    def destination(self) -> str:
        """The destination it was sent to."""
        return self.headers.get("destination", "")

    @property
    def text(self) -> str:
        """The body as text. Raises DecodeError if it is not UTF-8."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise DecodeError("the body of the message is not UTF-8") from None

    def json(self) -> Any:
        """The body as JSON. Raises DecodeError if it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except MALFORMED as error:
            raise DecodeError(f"the body of the message is not JSON: {error}") from None

    async def ack(self) -> None:
        """Acknowledge the message, if the subscription's mode is not ``auto``."""
        await self._owner.acknowledge(self)

    async def nack(self) -> None:
        """Report that the message was not processed, if the subscription's mode is not ``auto``."""
        await self._owner.acknowledge(self, positive=False)

    def __repr__(self) -> str:
        return f"<StompMessage {self.destination} {len(self.body)} bytes>"


class Subscription:
    """The messages of one destination. Iterate with ``async for``; leaving ``async with`` unsubscribes.

    Iteration ends after :meth:`unsubscribe` or when this end closes the connection. If the connection ends in another
    way, iteration raises its error. Messages that arrived before come first. One consumer at a time.

    Attributes:
        id: the id in its frames.
        destination: what was subscribed to.
        ack_mode: how messages are acknowledged.
    """

    __slots__ = (
        "_error",
        "_finished",
        "_limit",
        "_limit_bytes",
        "_owner",
        "_size",
        "_waiting",
        "_wake",
        "ack_mode",
        "destination",
        "id",
    )

    def __init__(
        self, owner: _Owner, name: str, destination: str, ack_mode: AckMode, limit: int, limit_bytes: int
    ) -> None:
        self.id: str = name
        self.destination: str = destination
        self.ack_mode = ack_mode
        self._owner = owner
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._size = 0
        self._waiting: deque[StompMessage] = deque()
        self._wake = asyncio.Event()
        self._finished = False
        self._error: CryptoprotoError | None = None

    def _offer(self, frame: Frame) -> bool:
        """Queue a message. False if there is no room for it."""
        size = _size(frame.headers, frame.body)
        if len(self._waiting) >= self._limit or self._size + size > self._limit_bytes:
            return False
        self._size += size
        self._waiting.append(StompMessage(frame.headers, frame.body, self._owner))
        self._wake.set()
        return True

    def _finish(self, error: CryptoprotoError | None) -> None:
        self._finished = True
        self._error = error
        self._wake.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StompMessage:
        while not self._waiting:
            if self._finished:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        message = self._waiting.popleft()
        self._size -= _size(message.headers, message.body)
        return message

    async def unsubscribe(self) -> None:
        """Receive nothing more. Iteration ends after the messages that have arrived. Calling it again does nothing."""
        await self._owner.unsubscribe(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ConnectionClosed):  # an ended connection has no subscriptions
            await self.unsubscribe()

    def __repr__(self) -> str:
        return f"<Subscription {self.id} to {self.destination}, {len(self._waiting)} waiting>"


def _size(headers: Mapping[str, str], body: bytes) -> int:
    return len(body) + sum(map(len, headers)) + sum(map(len, headers.values()))
