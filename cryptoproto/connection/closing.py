"""What the end of a link means: for the handshake, for the connection, and for each caller."""

from __future__ import annotations

import copy

from ..exceptions import ConnectionClosed, CryptoprotoError, DecodeError, HandshakeError, InvalidKey, UnsupportedVersion
from ..transport import Closed
from ..wire import CloseCode, connection_closed

__all__ = ["ClosedHere", "ending", "own"]


class ClosedHere(ConnectionClosed):
    """The user closed the connection, which is no error to the iteration."""


def ending(closed: Closed, *, opened: bool) -> CryptoprotoError:
    """The error that stands for the end of a link, before or after the handshake was over."""
    if closed.fault is not None:
        return DecodeError(closed.fault)
    return connection_closed(closed.code, closed.reason) if opened else _refusal(closed)


def _refusal(closed: Closed) -> CryptoprotoError:
    """What a close during the handshake means: the protocol gives it no code of its own."""
    if closed.code is None:
        return HandshakeError(
            "the connection was lost during the handshake; if this happens every time, the exchange may speak another "
            "form of the protocol (protocol=), or not know the client id"
        )
    if closed.code == CloseCode.POLICY_VIOLATION and _names_the_key(closed.reason):
        return InvalidKey(f"the exchange refused the handshake: {closed.reason}")
    if closed.code == CloseCode.PROTOCOL_ERROR:
        return UnsupportedVersion(
            f"the exchange ended the handshake with code 1002: {closed.reason or 'no reason given'}; "
            f"it may speak another form of the protocol (protocol=)"
        )
    if closed.code >= CloseCode.SERVER_RESTART:
        return connection_closed(closed.code, closed.reason)
    return HandshakeError(
        f"the exchange ended the handshake with code {closed.code}: {closed.reason or 'no reason given'}"
    )


def _names_the_key(reason: str) -> bool:
    """Whether *reason* says that a retry with the same key cannot succeed; 1008 alone may mean a slow handshake."""
    words = reason.lower()
    return "key" in words or "client id" in words or "signature" in words


def own(error: CryptoprotoError, *, sent: bool | None) -> CryptoprotoError:
    """*error* for one caller: a shared exception would collect the tracebacks of all."""
    if isinstance(error, ClosedHere):
        mine: CryptoprotoError = ConnectionClosed(error.code, error.reason, position=error.position)
    else:
        mine = copy.copy(error)
    mine.__cause__ = error.__cause__
    mine.sent = sent
    return mine
