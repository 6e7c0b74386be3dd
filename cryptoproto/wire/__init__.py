"""The protocol without I/O: XDR, AES-CBC, handshake, frames and the state of a session.

Bytes go in and frames come out, and vice versa. Nothing here waits, reads a clock or opens a socket.
"""

from __future__ import annotations

from .cipher import MAX_FRAME_BYTES, Opener, Sealer
from .codes import (
    HEARTBEAT_TEXT,
    ClientFrameType,
    CloseCode,
    ErrorType,
    Protocol,
    ServerFrameType,
    connection_closed,
    server_error,
)
from .frames import (
    BroadcastFrame,
    ClientFrame,
    ClientFrameCodec,
    ErrorFrame,
    MessageFrame,
    RequestFrame,
    ResponseFrame,
    ServerFrame,
    ServerFrameCodec,
    ThrottlingFrame,
    TransactionFrame,
)
from .handshake import ClientHello, ServerHello
from .market import market_frame, market_hello, read_market_frame, read_market_hello
from .session import ClientSession, Draft, Opened, Proven, ServerSession

__all__ = [
    "HEARTBEAT_TEXT",
    "MAX_FRAME_BYTES",
    "BroadcastFrame",
    "ClientFrame",
    "ClientFrameCodec",
    "ClientFrameType",
    "ClientHello",
    "ClientSession",
    "CloseCode",
    "Draft",
    "ErrorFrame",
    "ErrorType",
    "MessageFrame",
    "Opened",
    "Opener",
    "Protocol",
    "Proven",
    "RequestFrame",
    "ResponseFrame",
    "Sealer",
    "ServerFrame",
    "ServerFrameCodec",
    "ServerFrameType",
    "ServerHello",
    "ServerSession",
    "ThrottlingFrame",
    "TransactionFrame",
    "connection_closed",
    "market_frame",
    "market_hello",
    "read_market_frame",
    "read_market_hello",
    "server_error",
]
