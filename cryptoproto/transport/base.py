"""The interface of a transport, and of the listener that it calls.

A transport moves whole WebSocket messages and knows nothing about their content. It is driven by plain calls and
responds with callbacks on the event loop, so it needs neither a task nor a queue.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from ..exceptions import ConfigurationError, HandshakeError

__all__ = ["Closed", "Listener", "OpenOptions", "Transport", "TransportOpener", "subprotocol_refusal"]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 6455, section 4.1, item 10


class Closed(msgspec.Struct, frozen=True):
    """How a link ended.

    Attributes:
        code: the close code that the peer sent, ``None`` if the link ended without one.
        reason: the reason that came with the code, or what was observed.
        fault: what the peer did wrong, if it broke the WebSocket protocol or sent a message that is too large.
    """

    code: int | None
    reason: str
    fault: str | None = None


class Listener(Protocol):
    """The callbacks of a transport. None of them may raise or block."""

    def on_open(self, transport: Transport) -> None:
        """The link is open. Nothing was received before, and :meth:`Transport.send` may be called from now on."""

    def on_message(self, data: bytes, more: bool = False) -> None:
        """A whole binary message was received.

        If *more* is true, the same read returned more data, and another callback follows in this iteration of the event
        loop. A transport that cannot tell omits it.
        """

    def on_text(self, text: str) -> None:
        """A whole text message was received."""

    def on_heard(self) -> None:
        """A ping, pong, close frame or part of a message was received, so the peer is alive. Pings are answered."""

    def on_closed(self, closed: Closed) -> None:
        """The link has ended. Called exactly once after :meth:`on_open`, and as the last callback."""


class Transport(Protocol):
    """One live link."""

    def send(self, data: bytes) -> None:
        """Send a binary message, in the order of the calls. Does nothing on a closed link."""

    def send_many(self, messages: Sequence[bytes]) -> None:
        """Send binary messages as :meth:`send` does one, with one write where the transport can."""

    def send_text(self, text: str) -> None:
        """Send a text message."""

    def ping(self) -> None:
        """Send a ping."""

    @property
    def remote_address(self) -> str:
        """The peer's IP address; empty if it has none, or the link is closed."""

    @property
    def writable(self) -> bool:
        """Whether the write buffer has room; to be checked after sending."""

    async def drain(self) -> None:
        """Wait until the transport is writable, or closed."""

    def pause_reading(self) -> None:
        """Stop reading from the socket; data that was already read may still be delivered. Idempotent."""

    def resume_reading(self) -> None:
        """Resume reading. Idempotent."""

    def close(self, code: int, reason: str, timeout: float) -> None:
        """Start the closing handshake, and abort the link if it has not ended after *timeout* seconds. Idempotent."""

    def abort(self) -> None:
        """End the link immediately."""


class OpenOptions(msgspec.Struct, frozen=True):
    """How to open a link.

    Attributes:
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        max_message_bytes: size limit of a message.
        timeout: seconds for the WebSocket handshake; ``None`` if the caller limits it.
        subprotocols: the subprotocols offered to the server, the preferred one first. It may choose one or none.

    Raises:
        ConfigurationError: the name of a subprotocol is invalid.
    """

    ssl: ssl.SSLContext | None = None
    max_message_bytes: int = 2**20
    timeout: float | None = 10.0
    subprotocols: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = self.subprotocols
        if not isinstance(names, tuple) or not all(isinstance(name, str) and _TOKEN.fullmatch(name) for name in names):
            raise ConfigurationError(f"subprotocols={names!r} must be a tuple of names without spaces and commas")


def subprotocol_refusal(offered: Sequence[str], headers: Sequence[str]) -> HandshakeError | None:
    """The error if a server's answer names a subprotocol that was not offered, else ``None``.

    See RFC 6455, section 4.1, item 6 of the last list.

    Args:
        offered: the subprotocols that were offered.
        headers: the values of ``Sec-WebSocket-Protocol`` in the answer, possibly none.
    """
    answered = [name.strip() for value in headers for name in value.split(",")]
    if not answered or (len(answered) == 1 and answered[0] in offered):
        return None
    ours = f"we offered {' and '.join(offered)}" if offered else "we offered none"
    return HandshakeError(f"the server answered with the subprotocol {', '.join(answered)[:200]!r}, and {ours}")


class TransportOpener(Protocol):
    """Opens links to a URL, with one of the libraries or in a custom way."""

    async def __call__(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        """Open a link and return it once :meth:`Listener.on_open` was called.

        Raises:
            OSError: the server cannot be reached, or TLS fails.
            HandshakeError: the server does not speak WebSocket, refuses the link, or chose a subprotocol not offered.
        """


ListenerFactory = Callable[[], Listener]
"""Creates the listener for each new link of a server."""
