"""Request bodies that are held until their signature is checked: bounded in bytes, one by one and all together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from starlette.types import Message, Receive

from ...exceptions import CredentialsRefused

__all__ = ["BodyBudget", "HeldBody"]

_PIECE: Final = 65_536  # bytes of one ASGI message to the application; what servers customarily read at once


class BodyBudget:
    """How many bytes of request bodies may be held at the same time.

    If a body does not fit, the longest one that is still arriving is dropped, which can be the new one itself. A client
    that sends long bodies slowly therefore cannot keep out the short requests of other clients.

    Args:
        limit: bytes of all bodies together.
    """

    __slots__ = ("_arriving", "_limit", "_used")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._arriving: dict[HeldBody, None] = {}

    @property
    def used(self) -> int:
        """Bytes held now."""
        return self._used

    def open(self, limit: int) -> HeldBody:
        """An empty body of at most *limit* bytes."""
        return HeldBody(self, limit)

    def take(self, body: HeldBody, count: int) -> None:
        """Count *count* more bytes for *body*, which drops others if necessary.

        Raises:
            CredentialsRefused: 503 if *body* itself would be the longest.
        """
        self._arriving[body] = None
        while self._used + count > self._limit:
            longest = max(self._arriving, key=len)
            if longest is body or len(longest) <= len(body) + count:
                raise CredentialsRefused(503, "too many requests are being received; try again in a few seconds")
            longest.drop()
        self._used += count

    def give_back(self, count: int) -> None:
        """Count *count* bytes less."""
        self._used -= count

    def arrived(self, body: HeldBody) -> None:
        """*body* is complete or was abandoned, so it is no longer dropped."""
        self._arriving.pop(body, None)


class HeldBody:
    """One body while it arrives and until the application has taken it. Leaving ``with`` forgets it.

    Args:
        budget: what it counts against.
        limit: bytes of the longest body accepted.
    """

    __slots__ = ("_budget", "_complete", "_data", "_dropped", "_limit")

    def __init__(self, budget: BodyBudget, limit: int) -> None:
        self._budget = budget
        self._limit = limit
        self._data = bytearray()
        self._dropped = False
        self._complete = False

    @property
    def data(self) -> bytearray:
        """The body as far as it has arrived."""
        return self._data

    def __len__(self) -> int:
        return len(self._data)

    async def read(self, receive: Receive, timeout: float, update: Callable[[bytes], None] | None = None) -> bool:
        """Read the whole body.

        Args:
            receive: where it comes from.
            timeout: seconds until it must be complete.
            update: called with each part as it arrives.

        Returns:
            False if the client left before the end.

        Raises:
            CredentialsRefused: 413 if it is too long, 408 if it takes too long, 503 if there is no room for it.
        """
        try:
            async with asyncio.timeout(timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return False
                    chunk = message.get("body", b"")
                    self._add(chunk)
                    if update is not None:
                        update(chunk)
                    if not message.get("more_body", False):
                        self._budget.arrived(self)
                        return True
        except TimeoutError:
            raise CredentialsRefused(408, f"the body was not complete after {timeout:g} s") from None

    def refuse_declared(self, length: bytes) -> None:
        """Refuse a ``Content-Length`` that is too long, before anything is read.

        Raises:
            CredentialsRefused: 413.
        """
        if length.isdigit() and int(length[:20]) > self._limit:
            raise CredentialsRefused(413, f"the body is longer than {self._limit} bytes")

    def _add(self, chunk: bytes) -> None:
        if self._dropped:
            raise CredentialsRefused(503, "too many requests are being received; try again in a few seconds")
        if len(self._data) + len(chunk) > self._limit:
            raise CredentialsRefused(413, f"the body is longer than {self._limit} bytes")
        if chunk:
            self._budget.take(self, len(chunk))
            self._data += chunk

    def replace(self, data: bytes) -> None:
        """Hold *data*, which is not longer, instead."""
        self._budget.give_back(len(self._data) - len(data))
        self._data = bytearray(data)

    def drop(self) -> None:
        """Forget the bytes. The rest of the body is refused."""
        self._dropped = True
        self._forget()

    def replay(self, receive: Receive) -> Receive:
        """A ``receive`` that returns the body, then what *receive* returns. Bytes that were returned are forgotten."""

        async def again() -> Message:
            if self._complete:
                return await receive()
            piece = bytes(self._data[:_PIECE])
            del self._data[:_PIECE]
            self._budget.give_back(len(piece))
            self._complete = not self._data
            return {"type": "http.request", "body": piece, "more_body": not self._complete}

        return again

    def _forget(self) -> None:
        self._budget.give_back(len(self._data))
        self._budget.arrived(self)
        self._data = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._forget()
