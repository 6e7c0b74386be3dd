"""The WebSocket below a STOMP connection: what the transport calls on one side, messages to await on the other."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections import deque
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ..arguments import check_tls
from ..exceptions import ConfigurationError, ConnectionClosed, HandshakeError
from ..transport import Closed, OpenOptions, Transport, TransportKind, TransportOpener, opener

__all__ = ["StompLink"]

_SUBPROTOCOLS: Final = ("v12.stomp", "v11.stomp")
_CLOSE_TIMEOUT_S: Final = 5.0
# The reader takes all that has come in one turn of the event loop, so messages wait where nobody reads yet: a gateway
# that talks before it was asked has to stop there.
_HIGH_MESSAGES: Final = 16
_LOW_MESSAGES: Final = 4


class StompLink:
    """One WebSocket, to be opened once. A :class:`~cryptoproto.transport.Listener` that keeps what it is told.

    Args:
        url: of the gateway.
        transport: which library, or an opener of one's own.
        ssl: a TLS context for ``wss://``; the system's certificates by default.

    Raises:
        ConfigurationError: the address is no WebSocket URL, or an argument cannot be used.
    """

    __slots__ = (
        "_closed", "_gone", "_leaving", "_open", "_paused", "_ssl", "_transport", "_url", "_waiting", "_wake",
    )  # fmt: skip

    def __init__(self, url: str, transport: TransportKind | TransportOpener, ssl: ssl_module.SSLContext | None) -> None:
        self._url = _checked(url)
        check_tls(ssl, wanted=self._url.scheme == "wss")
        self._open = opener(transport)
        self._ssl = ssl
        self._transport: Transport | None = None
        self._waiting: deque[bytes | str] = deque()
        self._wake = asyncio.Event()
        self._paused = False
        self._leaving = False
        self._closed: Closed | None = None
        self._gone = asyncio.Event()

    async def open(self, *, timeout: float | None, max_message_bytes: int) -> None:
        """Open the WebSocket. Cancelling leaves nothing behind.

        Raises:
            HandshakeError: something answered, but with no WebSocket, or another subprotocol than STOMP.
            OSError: nothing answered; a TimeoutError when it took longer than *timeout* seconds.
        """
        options = OpenOptions(
            ssl=self._ssl, max_message_bytes=max_message_bytes, timeout=timeout, subprotocols=_SUBPROTOCOLS
        )
        try:
            await self._open(self._url.geturl(), self, options)
        except HandshakeError as error:
            # A name and a password may stand in the address.
            place = self._url._replace(netloc=self._url.netloc.rpartition("@")[2]).geturl()
            raise HandshakeError(f"no WebSocket at {place}: {error}; is the path right?") from error

    async def send(self, data: bytes) -> None:
        """Send one message, as text where it is UTF-8 and in binary otherwise; wait while the network is slow.

        Raises:
            ConnectionClosed: the link has ended; ``sent`` says whether the message had left. Cancelling while the
                network is slow does not call the message back.
        """
        transport = self._transport
        if transport is None or self._leaving or self._closed is not None:
            raise self._ending(sent=False)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            transport.send(data)
        else:
            transport.send_text(text)
        if not transport.writable:
            await transport.drain()
            if self._closed is not None:
                raise self._ending(sent=True)

    async def receive(self) -> bytes | str:
        """The next message, also of those that came before the link has ended. Raises ConnectionClosed."""
        while not self._waiting:
            if self._leaving or self._closed is not None:
                raise self._ending()
            self._wake.clear()
            await self._wake.wait()
        message = self._waiting.popleft()
        if self._paused and len(self._waiting) <= _LOW_MESSAGES and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return message

    def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """Close with code 1000; the gateway has *timeout* seconds to do the same. What still comes is dropped."""
        self._leave()
        if self._transport is not None:
            self._transport.close(1000, "", timeout)

    def abort(self) -> None:
        """Cut the link, if there is one."""
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the link is gone, or return at once where it never was open."""
        if self._transport is not None:
            await self._gone.wait()

    # What the transport calls

    def on_open(self, transport: Transport) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._transport = transport

    def on_message(self, data: bytes, more: bool = False) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._keep(data)

    def on_text(self, text: str) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._keep(text)

    def on_heard(self) -> None:
        """Nothing: STOMP has heart-beats of its own, and only what STOMP says counts for them."""

    def on_closed(self, closed: Closed) -> None:
        """See :class:`~cryptoproto.transport.Listener`."""
        self._closed = closed
        self._gone.set()
        self._wake.set()

    def _leave(self) -> None:
        self._leaving = True
        self._waiting.clear()
        self._wake.set()

    def _keep(self, message: bytes | str) -> None:
        if self._leaving:
            return
        self._waiting.append(message)
        self._wake.set()
        if len(self._waiting) >= _HIGH_MESSAGES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _ending(self, *, sent: bool | None = None) -> ConnectionClosed:
        closed = self._closed
        if self._leaving or closed is None:
            error = ConnectionClosed(1000, "closed by this end")
        elif closed.fault is not None:
            error = ConnectionClosed(None, closed.fault)
        else:
            error = ConnectionClosed(closed.code, closed.reason)
        error.sent = sent
        return error


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no port
        _ = (parts.hostname or "").encode("idna")  # raises where the name could not be looked up
    except ValueError as error:
        raise ConfigurationError(f"the address is no ws:// or wss:// URL: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConfigurationError(f"the address is no ws:// or wss:// URL: {url!r}; write it like wss://host/stomp/v0")
    return parts
