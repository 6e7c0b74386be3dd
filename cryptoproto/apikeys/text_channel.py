"""The one place where this room touches a WebSocket: a thin seam, so that the transport can be changed."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Sequence
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed as WebSocketClosed
from websockets.exceptions import InvalidURI, WebSocketException
from websockets.typing import Subprotocol

from ..exceptions import ConfigurationError, ConnectionClosed, HandshakeError

__all__ = ["TextChannel", "open_text_channel"]


class TextChannel(Protocol):
    """Messages of a WebSocket, one at a time."""

    async def send(self, data: bytes) -> None:
        """Send one message: as text where it is UTF-8, in binary otherwise. Raises ConnectionClosed."""

    async def receive(self) -> str | bytes:
        """The next message. Raises ConnectionClosed."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the peer to do the same; never raises."""


class _WebSocketsChannel:
    __slots__ = ("_socket",)

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, data: bytes) -> None:
        try:
            text: str | bytes = data.decode()
        except UnicodeDecodeError:
            text = data
        try:
            await self._socket.send(text)
        except WebSocketClosed as error:
            raise _closed(error) from error

    async def receive(self) -> str | bytes:
        try:
            return await self._socket.recv()
        except WebSocketClosed as error:
            raise _closed(error) from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._socket.close(code, reason)


async def open_text_channel(
    url: str,
    *,
    subprotocols: Sequence[str],
    ssl: ssl_module.SSLContext | None,
    open_timeout: float | None,
    maximum_message: int,
) -> TextChannel:
    """Connect to a WebSocket.

    Raises:
        ConfigurationError: the address is no WebSocket URL.
        HandshakeError: something answered, but with no WebSocket.
        OSError: nothing answered; a TimeoutError when it took longer than *open_timeout* seconds.
    """
    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol(name) for name in subprotocols],
            ssl=ssl,
            open_timeout=open_timeout,
            max_size=maximum_message,
            ping_interval=None,  # STOMP has heart-beats of its own
            compression=None,
        )
    except InvalidURI as error:
        raise ConfigurationError(f"the address is no ws:// or wss:// URL: {error}") from None
    except WebSocketException as error:
        raise HandshakeError(f"no WebSocket at {url}: {error}; is the path right?") from error
    return _WebSocketsChannel(socket)


def _closed(error: WebSocketClosed) -> ConnectionClosed:
    received = error.rcvd
    if received is None:
        return ConnectionClosed(None, "the connection was lost")
    return ConnectionClosed(received.code, received.reason)
