"""The WebSocket below a STOMP connection: turns the callbacks of a transport into messages to await."""

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
# The reader takes everything that arrived in one turn of the event loop, so messages wait here only before somebody
# reads: a gateway that sends too early has to stop.
_HIGH_MESSAGES: Final = 16
_LOW_MESSAGES: Final = 4


class StompLink:
    """One WebSocket, which can be opened once. A :class:`~cryptoproto.transport.Listener` that queues messages.

    Args:
        url: of the gateway.
        transport: which library, or a custom opener.
        ssl: a TLS context for ``wss://``. The default uses the system's certificates.

    Raises:
        ConfigurationError: the address is not a WebSocket URL, or an argument cannot be used.
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
            HandshakeError: the answer was not a WebSocket, or had another subprotocol than STOMP.
            OSError: nothing answered; a TimeoutError after *timeout* seconds.
        """
        options = OpenOptions(
            ssl=self._ssl, max_message_bytes=max_message_bytes, timeout=timeout, subprotocols=_SUBPROTOCOLS
        )
        try:
            await self._open(self._url.geturl(), self, options)
        except HandshakeError as error:
            # The address may contain a name and a password.
            place = self._url._replace(netloc=self._url.netloc.rpartition("@")[2]).geturl()
            raise HandshakeError(f"no WebSocket at {place}: {error}; is the path right?") from error

    async def send(self, data: bytes) -> None:
        """Send one message, as text if it is UTF-8, otherwise as binary. Wait while the network is slow.

        Raises:
            ConnectionClosed: the link has ended. ``sent`` says whether the message was sent. Cancelling while the
                network is slow does not withdraw the message.
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
        """The next message. Messages that arrived before the link ended come first. Raises ConnectionClosed."""
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
        """Close with code 1000. The gateway has *timeout* seconds to answer. Later messages are dropped."""
        self._leave()
        if self._transport is not None:
            self._transport.close(1000, "", timeout)

    def abort(self) -> None:
        """Abort the link, if there is one."""
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the link has ended. Returns at once if it was never open."""
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
        """Ignored: only STOMP's own frames and heart-beats count as signs of life."""

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
        _ = parts.port  # raises ValueError if it is not a port
        _ = (parts.hostname or "").encode("idna")  # raises ValueError if it is not a host name
    except ValueError as error:
        raise ConfigurationError(f"the address is not a ws:// or wss:// URL: {error}") from None
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ConfigurationError(
            f"the address is not a ws:// or wss:// URL: {url!r}; write it like wss://host/stomp/v0"
        )
    return parts
