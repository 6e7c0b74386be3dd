"""How a connection fails to open, and how it ends."""

from __future__ import annotations

from typing import Any, Final

from .base import CryptoprotoError

__all__ = [
    "ConcurrentConnection",
    "ConnectError",
    "ConnectionClosed",
    "DecodeError",
    "DuplicateClientOrderId",
    "HandshakeError",
    "HeartbeatTimeout",
    "HistoryRewound",
    "InvalidKey",
    "InvalidPayload",
    "InvalidSequence",
    "OpenTimeout",
    "ProtocolError",
    "RateLimited",
    "ServerError",
    "ServerRestart",
    "SlowConsumer",
    "TradesDisabled",
    "UnknownServerError",
    "UnsupportedMessageType",
    "UnsupportedVersion",
]


class HandshakeError(CryptoprotoError):
    """The connection was opened, but the handshake failed."""


class InvalidKey(HandshakeError):
    """A key does not match: the server uses a different key than expected, or does not accept ours."""


class OpenTimeout(HandshakeError, TimeoutError):
    """The connection and its handshake took longer than ``open_timeout``."""


class UnsupportedVersion(HandshakeError):
    """The peer speaks a version of the protocol that this end does not support."""


class ProtocolError(CryptoprotoError):
    """The peer broke the protocol; the connection is closed."""


class DecodeError(ProtocolError, ValueError):
    """A frame or payload cannot be read: truncated, oversized, wrongly padded, mistyped or otherwise malformed."""


class UnsupportedMessageType(DecodeError):
    """A well-formed frame carries an unknown message type.

    A subclass of :class:`DecodeError`, so that one except clause covers every unreadable frame.
    """


class ServerError(CryptoprotoError):
    """The exchange answered with an error frame; it disconnects afterwards.

    Attributes:
        error_type: the number of the error type, as the exchange sent it.
        text: the exchange's own description.
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
    """Error type -1, and any number that the protocol does not define."""


class ConnectionClosed(CryptoprotoError, ConnectionError):
    """The connection has ended.

    Attributes:
        code: the WebSocket close code, ``None`` if the connection was lost without one.
        reason: the reason that came with the code, or what this end observed.
        position: the last transaction id that was handed to the user or is queued for them; resuming from there
            neither loses nor repeats an event. ``None`` if none was received.
    """

    def __init__(self, code: int | None, reason: str, *, position: int | None = None) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.position = position

    def __str__(self) -> str:
        code = "without a close code" if self.code is None else f"with code {self.code}"
        return f"connection closed {code}: {self.reason or 'no reason given'}"


class ConnectError(ConnectionClosed):
    """There is no connection: nobody answers at the address, or TLS fails."""

    def __str__(self) -> str:
        return self.reason


class ConcurrentConnection(ConnectionClosed):
    """Close code 4000: a second connection with the same client id took over."""


class InvalidSequence(ConnectionClosed):
    """Close code 4001: the exchange expected another sequence number."""


class RateLimited(ConnectionClosed):
    """Close code 4009: messages were sent despite throttling."""


class ServerRestart(ConnectionClosed):
    """Close code 1012: the exchange is restarting; connect again in a moment."""


class HeartbeatTimeout(ConnectionClosed):
    """Nothing was received from the peer in time, or the peer received nothing from this end."""


class SlowConsumer(ConnectionClosed):
    """Events arrived faster than they were consumed and the queue is full; resume from :attr:`position`."""


_REMEDY: Final = "start again with a new store or another resume_from"


class HistoryRewound(ConnectionClosed):
    """The exchange knows less of this client's history than the client does, usually after a restore from a backup.

    Transaction ids are being used again, so new events cannot be distinguished from those already processed. A retry
    cannot succeed: compare orders and balances with the exchange, then start with a new store or another
    ``resume_from``.

    Attributes:
        position: the last transaction id that this client has processed.
        exchange_position: the transaction id that proves the rewind: at or below *position*.
        what: ``"transaction"``; ``"sequence"`` if the numbers are sequences of this client's messages; ``"order"`` if
            they are the id of an order that was used twice, or that is open again after its end.
        remedy: what to do, once orders and balances are compared.
    """

    position: int

    def __init__(self, position: int, exchange_position: int, what: str = "transaction", remedy: str = _REMEDY) -> None:
        if what == "order":
            proof = (
                f"it has given order id {position} to a second order, or opened order {position} again after its end"
            )
        else:
            proof = f"it is at {what} {exchange_position}, but this client has already processed {what} {position}"
        others = "; an exchange that has deleted old events looks the same" if what == "transaction" else ""
        super().__init__(
            None,
            f"the exchange's history was rewound: {proof}. It was probably restored from a backup{others}. Compare "
            f"your orders and balances with the exchange, then {remedy}",
            position=position,
        )
        self.args: tuple[Any, ...] = (position, exchange_position, what, remedy)  # what a copy is made from
        self.exchange_position = exchange_position
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return self.reason
