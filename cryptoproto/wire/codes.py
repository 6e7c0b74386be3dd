"""The numbers of the protocol: versions, frame types, error types and close codes, and the errors they stand for."""

from __future__ import annotations

import enum
from typing import Final

from ..exceptions import (
    ConcurrentConnection,
    ConnectionClosed,
    DuplicateClientOrderId,
    HeartbeatTimeout,
    InvalidPayload,
    InvalidSequence,
    RateLimited,
    ServerError,
    ServerRestart,
    TradesDisabled,
    UnknownServerError,
)

__all__ = [
    "HEARTBEAT_TEXT",
    "ClientFrameType",
    "CloseCode",
    "ErrorType",
    "Protocol",
    "ServerFrameType",
    "connection_closed",
    "server_error",
]


class Protocol(enum.Enum):
    """The form of the frame bodies."""

    SIGNED = "signed"
    """Each client frame carries an RSA signature; the handshake carries no version. The documented form."""
    V5 = "v5"
    """Unsigned frames; the handshake carries version 5."""

    @property
    def version(self) -> int | None:
        """The version number in the handshake; ``None`` = the handshake carries none."""
        return 5 if self is Protocol.V5 else None


class ClientFrameType(enum.IntEnum):
    """What a client sends after the handshake."""

    MESSAGE = 1
    RPC_REQUEST = 2


class ServerFrameType(enum.IntEnum):
    """What a server sends after the handshake."""

    MESSAGE = 1
    RPC_RESPONSE = 2
    ERROR = 3
    BROADCAST = 4
    THROTTLING = 5


class ErrorType(enum.IntEnum):
    """The type of an error frame."""

    UNKNOWN = -1
    DUPLICATE_CLIENT_ORDER_ID = 1
    INVALID_PAYLOAD = 2
    TRADES_DISABLED = 3


class CloseCode(enum.IntEnum):
    """The WebSocket close codes in use: those of the protocol, and those of RFC 6455 for everything else."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    """A frame that cannot be decoded, or an unsupported version."""
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    """The handshake was refused: unknown client id or wrong keys. Also sent after an error frame."""
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVER_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    """There are too many handshakes, or one took too long; another attempt may succeed."""
    CONCURRENT_CONNECTION = 4000
    INVALID_SEQUENCE = 4001
    RATE_LIMITED = 4009


HEARTBEAT_TEXT: Final = "TimeoutError()"
"""An error frame with this text means that the server missed our heartbeat."""

_BY_CLOSE_CODE: Final[dict[int | None, type[ConnectionClosed]]] = {
    CloseCode.SERVER_RESTART: ServerRestart,
    CloseCode.CONCURRENT_CONNECTION: ConcurrentConnection,
    CloseCode.INVALID_SEQUENCE: InvalidSequence,
    CloseCode.RATE_LIMITED: RateLimited,
}
_BY_ERROR_TYPE: Final[dict[int, type[ServerError]]] = {
    ErrorType.DUPLICATE_CLIENT_ORDER_ID: DuplicateClientOrderId,
    ErrorType.INVALID_PAYLOAD: InvalidPayload,
    ErrorType.TRADES_DISABLED: TradesDisabled,
}


def connection_closed(code: int | None, reason: str) -> ConnectionClosed:
    """The error for a close code; a plain ConnectionClosed for codes that the protocol does not define."""
    return _BY_CLOSE_CODE.get(code, ConnectionClosed)(code, reason)


def server_error(error_type: int, text: str) -> ServerError | HeartbeatTimeout:
    """The error for an error frame; UnknownServerError for types that the protocol does not define."""
    if text == HEARTBEAT_TEXT:
        return HeartbeatTimeout(None, "the exchange missed our heartbeat")
    return _BY_ERROR_TYPE.get(error_type, UnknownServerError)(error_type, text)
