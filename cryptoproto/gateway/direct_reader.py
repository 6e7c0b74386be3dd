"""Takes messages from NATS as they are read from the socket, before the stream that nats-py reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final

__all__ = ["DirectReader"]

_MESSAGE: Final = re.compile(rb"MSG (\S+) (\d+) (?:(\S+) )?(\d+)\r\n")
"""Subject, number of the subscription, reply subject and size: see the client protocol of NATS."""


class DirectReader(asyncio.Protocol):
    """Stands before the protocol of a stream: takes whole messages without headers, and passes on everything else.

    A stream has to wake the task that reads it, which then parses all kinds of messages. What is taken here has neither
    to wait for the next turn of the event loop nor to be parsed so.

    Args:
        behind: the protocol of the stream.
        is_idle: whether everything that the stream has got so far was read and parsed. While it was not, nothing is
            taken here: it would overtake.
        take: gets number of the subscription, subject, reply subject and content of a message; returns whether it has
            taken it.
    """

    def __init__(
        self,
        behind: asyncio.Protocol,
        is_idle: Callable[[], bool],
        take: Callable[[int, bytes, bytes, bytes], bool],
    ) -> None:
        self._behind = behind
        self._is_idle = is_idle
        self._take = take

    def data_received(self, data: bytes) -> None:
        """See :class:`asyncio.Protocol`."""
        if self._is_idle() and (taken := self._take_from(data)):
            data = data[taken:]
        if data:
            self._behind.data_received(data)

    def _take_from(self, data: bytes) -> int:
        """Take the messages at the beginning of *data*; returns how many bytes they have."""
        taken = 0
        while (head := _MESSAGE.match(data, taken)) is not None:
            subject, subscription, reply, size = head.groups()
            end = head.end() + int(size)
            if end + 2 > len(data) or not self._take(int(subscription), subject, reply or b"", data[head.end() : end]):
                break
            taken = end + 2
        return taken

    def eof_received(self) -> bool | None:
        """See :class:`asyncio.Protocol`."""
        return self._behind.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """See :class:`asyncio.Protocol`."""
        self._behind.connection_lost(exc)

    def pause_writing(self) -> None:
        """See :class:`asyncio.Protocol`."""
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        """See :class:`asyncio.Protocol`."""
        self._behind.resume_writing()
