"""What a transport does for those above it, and what it asks of them.

A transport moves whole WebSocket messages and knows nothing of the protocol in them. It is driven with plain calls and
answers with callbacks on the event loop, so the fast ones need no task and no queue of their own.
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
        code: the close code that the peer sent, ``None`` where the link ended without one.
        reason: the reason with it, or what was observed.
        fault: what the peer did wrong where it broke the WebSocket protocol or sent a message that is too large.
    """

    code: int | None
    reason: str
    fault: str | None = None


class Listener(Protocol):
    """What a transport calls. None of it may raise or block."""

    def on_open(self, transport: Transport) -> None:
        """The link is up. Nothing was received before, and :meth:`Transport.send` may be called from here on."""

    def on_message(self, data: bytes, more: bool = False) -> None:
        """A whole binary message arrived.

        *more*: the same read has brought more, so another of these calls follows in this turn of the event loop. A
        transport that cannot tell leaves it away.
        """

    def on_text(self, text: str) -> None:
        """A whole text message arrived."""

    def on_heard(self) -> None:
        """A ping, a pong, a close frame or a part of a message arrived: the peer lives. Pings were answered already."""

    def on_closed(self, closed: Closed) -> None:
        """The link has ended. Called exactly once, after :meth:`on_open`; nothing follows."""


class Transport(Protocol):
    """One live link."""

    def send(self, data: bytes) -> None:
        """Send a binary message; messages leave in the order of the calls. Nothing happens on a closed link."""

    def send_text(self, text: str) -> None:
        """Send a text message."""

    def ping(self) -> None:
        """Send a ping."""

    @property
    def remote_address(self) -> str:
        """The peer's IP address; empty if it has none, or the link is closed."""

    @property
    def writable(self) -> bool:
        """Whether little enough is waiting to be written; after a send it is worth asking."""

    async def drain(self) -> None:
        """Wait until the transport is writable again, or closed."""

    def pause_reading(self) -> None:
        """Stop reading from the socket; what was read already may still be delivered. Idempotent."""

    def resume_reading(self) -> None:
        """Read again. Idempotent."""

    def close(self, code: int, reason: str, timeout: float) -> None:
        """Start the closing handshake, and cut the link if it has not ended in *timeout* seconds. Idempotent."""

    def abort(self) -> None:
        """Cut the link now."""


class OpenOptions(msgspec.Struct, frozen=True):
    """How to open a link.

    Attributes:
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        max_message_bytes: limit of one message.
        timeout: seconds for the WebSocket handshake; ``None`` leaves it to the caller.
        subprotocols: those offered to the server, the best first. It may choose one of them, or none.

    Raises:
        ConfigurationError: the name of a subprotocol cannot be written into the request.
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
    """What is wrong with the subprotocol of a server's answer; RFC 6455, section 4.1, item 6 of the last list.

    Args:
        offered: the subprotocols that we know.
        headers: the values of the answer's ``Sec-WebSocket-Protocol``, of which there may be none.
    """
    answered = [name.strip() for value in headers for name in value.split(",")]
    if not answered or (len(answered) == 1 and answered[0] in offered):
        return None
    ours = f"we offered {' and '.join(offered)}" if offered else "we offered none"
    return HandshakeError(f"the server answered with the subprotocol {', '.join(answered)[:200]!r}, and {ours}")


class TransportOpener(Protocol):
    """Opens links to a URL: one for each way there is, and whatever a caller supplies."""

    async def __call__(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        """Open a link and return it once :meth:`Listener.on_open` was called.

        Raises:
            OSError: nobody answers at the address, or TLS fails.
            HandshakeError: who answers is no WebSocket server, or refuses, or chose a subprotocol that was not offered.
        """


ListenerFactory = Callable[[], Listener]
"""Makes the listener of each new connection of a server."""
