"""The error for the end of a link: during the handshake, afterwards, and for each caller."""

from __future__ import annotations

import copy
from typing import Final

from ..exceptions import ConnectionClosed, CryptoprotoError, DecodeError, HandshakeError, InvalidKey, UnsupportedVersion
from ..transport import Closed
from ..wire import CloseCode, connection_closed

__all__ = ["CLOSE_TIMEOUT_S", "ClosedHere", "ending", "own"]

CLOSE_TIMEOUT_S: Final = 5.0
"""How long a peer may take to answer a close, unless the caller says otherwise."""


class ClosedHere(ConnectionClosed):
    """The user closed the connection; the iteration stops without an error."""


def ending(closed: Closed, *, opened: bool) -> CryptoprotoError:
    """The error for the end of a link, during the handshake or after it."""
    if closed.fault is not None:
        return DecodeError(closed.fault)
    return connection_closed(closed.code, closed.reason) if opened else _refusal(closed)


def _refusal(closed: Closed) -> CryptoprotoError:
    """The error for a close during the handshake, for which the protocol has no code."""
    if closed.code is None:
        return HandshakeError(
            "the connection was lost during the handshake; if this happens every time, the exchange may speak another "
            "form of the protocol (protocol=), or not know the client id"
        )
    if closed.code == CloseCode.POLICY_VIOLATION and _names_the_key(closed.reason):
        return InvalidKey(f"the exchange rejected the handshake: {closed.reason}")
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
    """A copy of *error* for one caller; a shared exception would collect the tracebacks of all callers."""
    if isinstance(error, ClosedHere):
        mine: CryptoprotoError = ConnectionClosed(error.code, error.reason, position=error.position)
    else:
        mine = copy.copy(error)
    mine.__cause__ = error.__cause__
    mine.sent = sent
    return mine
