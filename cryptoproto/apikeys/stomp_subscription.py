"""A subscription as an async iterator, and the messages that it gives."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import msgspec

from ..exceptions import ConnectionClosed, CryptoprotoError, DecodeError
from .stomp_frames import Frame

__all__ = ["AckMode", "StompMessage", "Subscription"]

AckMode = Literal["auto", "client", "client-individual"]


class _Owner(Protocol):
    """What a subscription needs of its connection."""

    def acknowledge(self, message: StompMessage, *, positive: bool = True) -> Awaitable[None]: ...

    def unsubscribe(self, subscription: Subscription) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class StompMessage:
    """One message.

    Attributes:
        headers: of its frame, unescaped.
        body: as it came.
    """

    headers: Mapping[str, str]
    body: bytes
    _owner: _Owner

    @property
    def destination(self) -> str:
        """Where it was sent to."""
        return self.headers.get("destination", "")

    @property
    def text(self) -> str:
        """The body as UTF-8 text. Raises DecodeError when it is none."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            raise DecodeError("the body of the message is not UTF-8") from None

    def json(self) -> Any:
        """The body as JSON. Raises DecodeError when it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(f"the body of the message is not JSON: {error}") from None

    async def ack(self) -> None:
        """Acknowledge; for a subscription with another mode than ``auto``."""
        await self._owner.acknowledge(self)

    async def nack(self) -> None:
        """Say that it was not processed; for a subscription with another mode than ``auto``."""
        await self._owner.acknowledge(self, positive=False)

    def __repr__(self) -> str:
        return f"<StompMessage {self.destination} {len(self.body)} bytes>"


class Subscription:
    """Messages of one destination: ``async for``; ``async with`` unsubscribes at the end.

    Iteration ends after :meth:`unsubscribe` or when this end closes the connection, and raises the connection's
    error when it ends otherwise; messages that came before are given first. One consumer at a time.

    Attributes:
        id: which the frames carry.
        destination: what was subscribed to.
        ack_mode: as asked for.
    """

    __slots__ = ("_error", "_finished", "_limit", "_owner", "_waiting", "_wake", "ack_mode", "destination", "id")

    def __init__(self, owner: _Owner, name: str, destination: str, ack_mode: AckMode, limit: int) -> None:
        self.id = name
        self.destination = destination
        self.ack_mode = ack_mode
        self._owner = owner
        self._limit = limit
        self._waiting: deque[StompMessage] = deque()
        self._wake = asyncio.Event()
        self._finished = False
        self._error: CryptoprotoError | None = None

    def _offer(self, frame: Frame) -> bool:
        """Queue a message; false when there is no room for it."""
        if len(self._waiting) >= self._limit:
            return False
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
        return self._waiting.popleft()

    async def unsubscribe(self) -> None:
        """Take nothing more; iteration ends after what has already come. Calling it again does nothing."""
        await self._owner.unsubscribe(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ConnectionClosed):  # then there is nothing left to unsubscribe from
            await self.unsubscribe()

    def __repr__(self) -> str:
        return f"<Subscription {self.id} to {self.destination}, {len(self._waiting)} waiting>"
