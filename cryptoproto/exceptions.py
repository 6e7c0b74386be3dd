"""The one tree of everything that cryptoproto raises.

::

    CryptoprotoError
    ├── ConfigurationError (ValueError)       an argument, a key file or an address cannot be used
    ├── HandshakeError                        the exchange and we did not come to terms
    │   ├── InvalidKey
    │   ├── OpenTimeout (TimeoutError)
    │   └── UnsupportedVersion
    ├── ProtocolError                         the peer broke the protocol
    │   └── DecodeError (ValueError)
    │       └── UnsupportedMessageType
    ├── JournalError                          an exchange's journal is damaged, or cannot be written
    ├── ServerError                           the exchange answered with an error frame
    │   ├── DuplicateClientOrderId
    │   ├── InvalidPayload
    │   ├── TradesDisabled
    │   └── UnknownServerError
    ├── ConnectionClosed (ConnectionError)    the link has ended
    │   ├── ConcurrentConnection  4000
    │   ├── InvalidSequence       4001
    │   ├── RateLimited           4009
    │   ├── ServerRestart         1012
    │   ├── HeartbeatTimeout
    │   └── SlowConsumer
    ├── RequestError                          one call ended without its reply
    │   ├── RequestTimeout (TimeoutError)
    │   ├── RequestNotSent
    │   └── OutcomeUnknown
    └── OrderRejected                         the exchange refused an order
        └── InsufficientFunds
"""

from __future__ import annotations

__all__ = [
    "ConcurrentConnection",
    "ConfigurationError",
    "ConnectionClosed",
    "CryptoprotoError",
    "DecodeError",
    "DuplicateClientOrderId",
    "HandshakeError",
    "HeartbeatTimeout",
    "InsufficientFunds",
    "InvalidKey",
    "InvalidPayload",
    "InvalidSequence",
    "JournalError",
    "OpenTimeout",
    "OrderRejected",
    "OutcomeUnknown",
    "ProtocolError",
    "RateLimited",
    "RequestError",
    "RequestNotSent",
    "RequestTimeout",
    "ServerError",
    "ServerRestart",
    "SlowConsumer",
    "TradesDisabled",
    "UnknownServerError",
    "UnsupportedMessageType",
    "UnsupportedVersion",
]


class CryptoprotoError(Exception):
    """The root of every error that this package raises on purpose.

    Attributes:
        sent: for an error that ended a call, whether the call's frame had been handed to the network
            before; ``None`` where no single call is concerned.
    """

    sent: bool | None = None


class ConfigurationError(CryptoprotoError, ValueError):
    """An argument, a key file or an address cannot be used; the text says what to change."""


class HandshakeError(CryptoprotoError):
    """The connection was opened, but the handshake did not end in a session."""


class InvalidKey(HandshakeError):
    """A key does not fit its counterpart: the server's key is another one, or it knows another one of ours."""


class OpenTimeout(HandshakeError, TimeoutError):
    """The connection and its handshake took longer than ``open_timeout``."""


class UnsupportedVersion(HandshakeError):
    """The peer speaks a version of the protocol that this end does not."""


class ProtocolError(CryptoprotoError):
    """The peer broke the protocol; the connection is closed."""


class DecodeError(ProtocolError, ValueError):
    """A frame or payload is truncated, oversized, wrongly padded, wrongly typed or otherwise unreadable."""


class UnsupportedMessageType(DecodeError):
    """A well-formed frame carries a message type that this protocol does not know.

    A kind of :class:`DecodeError`, so that one except clause covers every unreadable frame.
    """


class JournalError(CryptoprotoError):
    """The journal of an exchange cannot be written any more, or what is in it is damaged.

    Attributes:
        path: the journal's file.
    """

    def __init__(self, path: str, text: str) -> None:
        super().__init__(path, text)
        self.path = path
        self.text = text

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class ServerError(CryptoprotoError):
    """The exchange answered with an error frame, which it follows with a disconnect.

    Attributes:
        error_type: the number of the error type, as the exchange sent it.
        text: the exchange's own words.
    """

    def __init__(self, error_type: int, text: str) -> None:
        super().__init__(error_type, text)
        self.error_type = error_type
        self.text = text

    def __str__(self) -> str:
        return f"the exchange reports error {self.error_type}: {self.text}"


class DuplicateClientOrderId(ServerError):
    """Error type 1: the client order id was used before."""


class InvalidPayload(ServerError):
    """Error type 2: the JSON of a message was malformed or lacked a required field."""


class TradesDisabled(ServerError):
    """Error type 3: trading on the pair is disabled."""


class UnknownServerError(ServerError):
    """Error type -1, and any number that the protocol does not name."""


class ConnectionClosed(CryptoprotoError, ConnectionError):
    """The link has ended.

    Attributes:
        code: the WebSocket close code, ``None`` when the link was lost without one.
        reason: the reason given with it, or what this end observed.
        position: the last transaction id that was handed to the user, or waits in the queue to be; resuming
            from there neither loses nor repeats an event. ``None`` where none was received.
    """

    def __init__(self, code: int | None, reason: str, *, position: int | None = None) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.position = position

    def __str__(self) -> str:
        code = "without a close code" if self.code is None else f"with code {self.code}"
        return f"connection closed {code}: {self.reason or 'no reason given'}"


class ConcurrentConnection(ConnectionClosed):
    """Close code 4000: a second connection of the same client id took over."""


class InvalidSequence(ConnectionClosed):
    """Close code 4001: the exchange expected another sequence number."""


class RateLimited(ConnectionClosed):
    """Close code 4009: throttling was not obeyed."""


class ServerRestart(ConnectionClosed):
    """Close code 1012: the exchange restarts; connect again in a moment."""


class HeartbeatTimeout(ConnectionClosed):
    """Nothing was heard from the peer for the heartbeat's time, or the peer says so of us."""


class SlowConsumer(ConnectionClosed):
    """Events arrived faster than they were taken, up to the hard bound; resume from :attr:`position`."""


class RequestError(CryptoprotoError):
    """One call ended without its reply; the connection may go on."""


class RequestTimeout(RequestError, TimeoutError):
    """No reply came within the call's deadline."""


class RequestNotSent(RequestError):
    """The call never left this end."""


class OutcomeUnknown(RequestError):
    """The call was sent, the link was lost, and whether it took effect is not known yet."""


class OrderRejected(CryptoprotoError):
    """The exchange refused an order."""


class InsufficientFunds(OrderRejected):
    """The balance does not cover the order."""
