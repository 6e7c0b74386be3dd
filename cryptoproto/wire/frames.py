"""Frame bodies to structs and back, for both forms of the protocol (section "Frames after the handshake").

The two forms differ little. A server body of ``SIGNED`` is that of ``V5`` with the length of the rest after the type;
a client body also starts with the signature. So one codec serves both, with different struct formats.

Nearly all frames are transactions and responses on the way in and messages on the way out. For these there is a fast
path from JSON to a padded body, or back, in one step. It is possible because the end of such a body, XDR's fill and
then the cipher's padding, depends only on the length of the JSON.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from struct import Struct, error
from typing import Final, TypeAlias

import msgspec

from ..exceptions import DecodeError, UnsupportedMessageType
from .cipher import PADDING, Opener, Sealer
from .codes import ClientFrameType, Protocol, ServerFrameType
from .xdr import FILL, padded

__all__ = [
    "BroadcastFrame",
    "ClientFrame",
    "ClientFrameCodec",
    "ErrorFrame",
    "MessageFrame",
    "RequestFrame",
    "ResponseFrame",
    "ServerFrame",
    "ServerFrameCodec",
    "ThrottlingFrame",
    "TransactionFrame",
]

_HYPER_AND_LENGTH: Final = Struct(">qI")
_INT_AND_LENGTH: Final = Struct(">iI")
_LENGTH: Final = Struct(">I")
_INT: Final = Struct(">i")
_THROTTLING: Final = Struct(">iqq")
_TRANSACTION: Final = Struct(">qdI")
_MESSAGE: Final = Struct(">iqI")
SHORTEST_BYTES: Final = 48
"""A block of garbage and the head of a transaction, in whole blocks."""
LATEST_TIMESTAMP: Final = 1e11
"""The year 5138: anything later, negative or NaN is a damaged frame."""


class TransactionFrame(msgspec.Struct, frozen=True, gc=False):
    """A server message: one event of the client's history. *timestamp* is in unix seconds, *payload* is JSON."""

    transaction_id: int
    timestamp: float
    payload: bytes


class ResponseFrame(msgspec.Struct, frozen=True, gc=False):
    """The response to the RPC request with the same id."""

    request_id: int
    payload: bytes


class ErrorFrame(msgspec.Struct, frozen=True, gc=False):
    """Why the exchange rejects a message; it disconnects afterwards."""

    error_type: int
    text: str


class BroadcastFrame(msgspec.Struct, frozen=True, gc=False):
    """A message to every client, outside the history."""

    payload: bytes


class ThrottlingFrame(msgspec.Struct, frozen=True, gc=False):
    """The queue holds *level* orders more than allowed; the ids are those of the order that exceeded the limit."""

    level: int
    request_id: int
    order_id: int


class MessageFrame(msgspec.Struct, frozen=True, gc=False):
    """A client message."""

    sequence: int
    payload: bytes


class RequestFrame(msgspec.Struct, frozen=True, gc=False):
    """An RPC request."""

    request_id: int
    payload: bytes


ServerFrame: TypeAlias = TransactionFrame | ResponseFrame | ErrorFrame | BroadcastFrame | ThrottlingFrame
ClientFrame: TypeAlias = MessageFrame | RequestFrame


@functools.cache
def json_ends(head: int) -> tuple[bytes, ...]:
    """The fill and padding after JSON that starts at byte *head*, by the JSON's length modulo 16."""
    return tuple(FILL[n & 3] + PADDING[(head + n + len(FILL[n & 3])) & 15] for n in range(16))


class ServerFrameCodec:
    """Bodies that a server sends."""

    __slots__ = ("_ends", "_head", "_nested", "_response", "_response_ends", "_transaction")

    def __init__(self, protocol: Protocol) -> None:
        self._nested = protocol is Protocol.SIGNED
        self._head = 8 if self._nested else 4
        self._transaction = Struct(">iIqdI" if self._nested else ">iqdI")
        self._ends = json_ends(self._transaction.size)
        self._response = Struct(">iIqI" if self._nested else ">iqI")
        self._response_ends = json_ends(self._response.size)

    def reader(self, opener: Opener) -> Callable[[bytes], TransactionFrame | ResponseFrame | None]:
        """A function that opens and decodes a frame that is a transaction or a response.

        It returns ``None`` for all other frames, malformed ones included. The caller then opens the frame again and
        calls :meth:`decode`, which handles every frame.

        A single closure instead of four calls to opener and codec saves a third of the time per frame. Fill and
        padding are checked by one comparison, which avoids a copy of the body.
        """
        nested = self._nested
        decrypt, max_frame_bytes = opener.update, opener.max_frame_bytes
        unpack = Struct(">16xi4xqdI" if nested else ">16xiqdI").unpack_from
        start, ends = 16 + self._transaction.size, self._ends
        unpack_response = Struct(">24xqI" if nested else ">20xqI").unpack_from
        response_start, response_ends = 16 + self._response.size, self._response_ends

        def read(frame: bytes) -> TransactionFrame | ResponseFrame | None:
            size = len(frame)
            if size & 15 or not SHORTEST_BYTES <= size <= max_frame_bytes:
                return None
            plain = decrypt(frame)
            kind, number, timestamp, length = unpack(plain)
            if kind == 1:
                end = start + length
                if (
                    plain[end:] != ends[length & 15]
                    or not 0.0 <= timestamp < LATEST_TIMESTAMP
                    or (nested and _LENGTH.unpack_from(plain, 20)[0] != 20 + length + (-length & 3))
                ):
                    return None
                return TransactionFrame(number, timestamp, plain[start:end])
            if kind != 2:
                return None
            number, length = unpack_response(plain)  # the minimum size above guarantees that this can be read
            end = response_start + length
            if plain[end:] != response_ends[length & 15] or (
                nested and _LENGTH.unpack_from(plain, 20)[0] != 12 + length + (-length & 3)
            ):
                return None
            return ResponseFrame(number, plain[response_start:end])

        return read

    def decode(self, body: bytes) -> ServerFrame:
        """The frame in *body*.

        Raises:
            DecodeError: it is truncated, has trailing bytes, or has a wrong length or fill; or it has the other form of
                the protocol, which the text says.
            UnsupportedMessageType: its type is unknown.
        """
        try:
            return self._decode(body)
        except DecodeError as malformed:
            other = Protocol.V5 if self._nested else Protocol.SIGNED
            try:
                ServerFrameCodec(other)._decode(body)
            except DecodeError:
                raise malformed from None
            raise DecodeError(
                f"the exchange speaks the other form of the protocol: pass protocol=Protocol.{other.name} "
                f"(on the command line: --protocol {other.value})"
            ) from None

    def _decode(self, body: bytes) -> ServerFrame:
        head = self._head
        try:
            (kind,) = _INT.unpack_from(body)
            if self._nested and _LENGTH.unpack_from(body, 4)[0] != len(body) - 8:
                raise DecodeError("malformed server frame: its length field does not match its data")
            if kind == ServerFrameType.MESSAGE:
                return self._decode_transaction(body)
            if kind == ServerFrameType.RPC_RESPONSE:
                request_id, length = _HYPER_AND_LENGTH.unpack_from(body, head)
                return ResponseFrame(request_id, _opaque(body, head + 12, length))
            if kind == ServerFrameType.ERROR:
                error_type, length = _INT_AND_LENGTH.unpack_from(body, head)
                # Text that is not valid UTF-8 must not hide the error.
                return ErrorFrame(error_type, _opaque(body, head + 8, length).decode("utf-8", "replace"))
            if kind == ServerFrameType.BROADCAST:
                (length,) = _LENGTH.unpack_from(body, head)
                return BroadcastFrame(_opaque(body, head + 4, length))
            if kind == ServerFrameType.THROTTLING:
                if len(body) != head + _THROTTLING.size:
                    raise DecodeError("malformed throttling frame")
                return ThrottlingFrame(*_THROTTLING.unpack_from(body, head))
        except error:
            raise DecodeError("truncated server frame") from None
        raise UnsupportedMessageType(f"unknown type {kind} of a server frame")

    def _decode_transaction(self, body: bytes) -> TransactionFrame:
        transaction_id, timestamp, length = _TRANSACTION.unpack_from(body, self._head)
        payload = _opaque(body, self._head + _TRANSACTION.size, length)
        if not 0.0 <= timestamp < LATEST_TIMESTAMP:
            raise DecodeError("malformed server message: its timestamp is out of range")
        return TransactionFrame(transaction_id, timestamp, payload)

    def padded_transaction(self, transaction_id: int, timestamp: float, payload: bytes) -> bytes:
        """The body of a server message, with the cipher's padding."""
        length = len(payload)
        if self._nested:
            head = self._transaction.pack(1, 20 + length + (-length & 3), transaction_id, timestamp, length)
        else:
            head = self._transaction.pack(1, transaction_id, timestamp, length)
        return head + payload + self._ends[length & 15]

    def padded_response(self, request_id: int, payload: bytes) -> bytes:
        """The body of an RPC response, with the cipher's padding."""
        length = len(payload)
        if self._nested:
            head = self._response.pack(2, 12 + length + (-length & 3), request_id, length)
        else:
            head = self._response.pack(2, request_id, length)
        return head + payload + self._response_ends[length & 15]

    def error(self, error_type: int, text: str) -> bytes:
        """The body of an error."""
        words = text.encode()
        return self._body(ServerFrameType.ERROR, _INT_AND_LENGTH.pack(error_type, len(words)) + padded(words))

    def broadcast(self, payload: bytes) -> bytes:
        """The body of a broadcast."""
        return self._body(ServerFrameType.BROADCAST, _LENGTH.pack(len(payload)) + padded(payload))

    def throttling(self, level: int, request_id: int, order_id: int) -> bytes:
        """The body of a throttling frame."""
        return self._body(ServerFrameType.THROTTLING, _THROTTLING.pack(level, request_id, order_id))

    def _body(self, kind: int, data: bytes) -> bytes:
        return (_INT_AND_LENGTH.pack(kind, len(data)) if self._nested else _INT.pack(kind)) + data


_MESSAGE_ENDS: Final = json_ends(_MESSAGE.size)


class ClientFrameCodec:
    """Bodies that a client sends.

    With ``SIGNED``, the signature covers the result of :meth:`data`, and :meth:`signed_body` combines the two. With
    ``V5`` there is no signature and :meth:`writer` does everything.
    """

    __slots__ = ("_signed",)

    def __init__(self, protocol: Protocol) -> None:
        self._signed = protocol is Protocol.SIGNED

    def data(self, number: int, payload: bytes) -> bytes:
        """Sequence or request id, and the JSON: the data that a signature covers."""
        return _HYPER_AND_LENGTH.pack(number, len(payload)) + padded(payload)

    def signed_body(self, kind: int, data: bytes, signature: bytes) -> bytes:
        """The body of a message or request of ``SIGNED``."""
        return _LENGTH.pack(len(signature)) + padded(signature) + _INT_AND_LENGTH.pack(kind, len(data)) + data

    @staticmethod
    def writer(sealer: Sealer) -> Callable[[int, int, bytes], bytes]:
        """A function that encodes and seals a message or request of ``V5``, given its type, number and JSON.

        It is a single closure for the same reason as :meth:`ServerFrameCodec.reader`.
        """
        nonces, draw, encrypt = sealer.nonces, sealer.draw, sealer.update
        pack, ends = _MESSAGE.pack, _MESSAGE_ENDS

        def write(kind: int, number: int, payload: bytes) -> bytes:
            if not nonces:
                draw()
            length = len(payload)
            return encrypt(b"".join((nonces.pop(), pack(kind, number, length), payload, ends[length & 15])))

        return write

    @staticmethod
    def reader(opener: Opener) -> Callable[[bytes], ClientFrame | None]:
        """A function that opens and decodes a frame of ``V5`` and returns ``None`` for a malformed one.

        See :meth:`ServerFrameCodec.reader`.
        """
        decrypt, max_frame_bytes = opener.update, opener.max_frame_bytes
        unpack = Struct(">16xiqI").unpack_from
        start, ends = 16 + _MESSAGE.size, _MESSAGE_ENDS

        def read(frame: bytes) -> ClientFrame | None:
            size = len(frame)
            if size & 15 or not 32 <= size <= max_frame_bytes:
                return None
            plain = decrypt(frame)
            kind, number, length = unpack(plain)
            end = start + length
            if plain[end:] != ends[length & 15]:
                return None
            if kind == 1:
                return MessageFrame(number, plain[start:end])
            return RequestFrame(number, plain[start:end]) if kind == 2 else None

        return read

    def decode(self, body: bytes) -> tuple[ClientFrame, bytes, bytes]:
        """The frame in *body*, the data that was signed and the signature (both empty for ``V5``).

        Raises:
            DecodeError: it is truncated, has trailing bytes, or has a wrong length or fill.
            UnsupportedMessageType: its type is unknown.
        """
        try:
            signature = data = b""
            if self._signed:
                (length,) = _LENGTH.unpack_from(body)
                offset = 4 + length + (-length & 3)
                signature = body[4 : 4 + length]
                if body[4 + length : offset] != FILL[length & 3]:
                    raise DecodeError("malformed client frame")
                kind, length = _INT_AND_LENGTH.unpack_from(body, offset)
                offset += 8
                data = body[offset:]
                if length != len(data):
                    raise DecodeError("malformed client frame: its length field does not match its data")
            else:
                (kind,) = _INT.unpack_from(body)
                offset = 4
            number, length = _HYPER_AND_LENGTH.unpack_from(body, offset)
            payload = _opaque(body, offset + 12, length)
        except error:
            raise DecodeError("truncated client frame") from None
        if kind == ClientFrameType.MESSAGE:
            return MessageFrame(number, payload), data, signature
        if kind == ClientFrameType.RPC_REQUEST:
            return RequestFrame(number, payload), data, signature
        raise UnsupportedMessageType(f"unknown type {kind} of a client frame")


def _opaque(body: bytes, start: int, length: int) -> bytes:
    """The opaque data at the end of *body*."""
    end = start + length
    if end > len(body) or body[end:] != FILL[length & 3]:
        raise DecodeError("malformed frame: wrong length or fill")
    return body[start:end]
