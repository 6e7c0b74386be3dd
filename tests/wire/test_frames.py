"""Bodies of frames, in both forms: against xdrlib3, malformed, and the short cut for transactions."""

from __future__ import annotations

import gc
import struct
from collections.abc import Callable
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.wire import (
    BroadcastFrame,
    ClientFrame,
    ClientFrameCodec,
    ClientFrameType,
    CloseCode,
    ErrorFrame,
    ErrorType,
    MessageFrame,
    Opener,
    Protocol,
    RequestFrame,
    ResponseFrame,
    ServerFrame,
    ServerFrameCodec,
    ServerFrameType,
    ThrottlingFrame,
    TransactionFrame,
    connection_closed,
    server_error,
)
from tests.support.wire_oracle import client_body, frequent, packed, padded, server_body, short_cuts, written

PROTOCOLS = pytest.mark.parametrize("protocol", list(Protocol))
GARBAGE = b"sixteen of waste"
SIGNATURE = b"s" * 256

SERVER_FRAMES: list[tuple[ServerFrame, int, list[tuple[str, Any]]]] = [
    (TransactionFrame(7, 1.5, b"{}"), 1, [("hyper", 7), ("double", 1.5), ("opaque", b"{}")]),
    (TransactionFrame(-1, 0.0, b""), 1, [("hyper", -1), ("double", 0.0), ("opaque", b"")]),
    (TransactionFrame(2**63 - 1, 9e10, b"x" * 99), 1, [("hyper", 2**63 - 1), ("double", 9e10), ("opaque", b"x" * 99)]),
    (ResponseFrame(-(2**63), b"[1]"), 2, [("hyper", -(2**63)), ("opaque", b"[1]")]),
    (ErrorFrame(-1, "Übel"), 3, [("int", -1), ("opaque", "Übel".encode())]),
    (ErrorFrame(77, ""), 3, [("int", 77), ("opaque", b"")]),
    (BroadcastFrame(b"12345"), 4, [("opaque", b"12345")]),
    (ThrottlingFrame(3, 1, 2**63 - 1), 5, [("int", 3), ("hyper", 1), ("hyper", 2**63 - 1)]),
    (ThrottlingFrame(-(2**31), -1, 0), 5, [("int", -(2**31)), ("hyper", -1), ("hyper", 0)]),
]

HEADS: list[tuple[int, list[tuple[str, Any]]]] = [
    (1, [("hyper", 1), ("double", 1.0)]),
    (2, [("hyper", 1)]),
    (3, [("int", 1)]),
    (4, []),
]
"""What stands in front of opaque data, by the type of the frame."""


def encoded(codec: ServerFrameCodec, frame: ServerFrame) -> bytes:
    """The body that carries *frame*, with the cipher's padding."""
    match frame:
        case TransactionFrame():
            return codec.padded_transaction(frame.transaction_id, frame.timestamp, frame.payload)
        case ResponseFrame():
            return codec.padded_response(frame.request_id, frame.payload)
        case ErrorFrame():
            return padded(codec.error(frame.error_type, frame.text))
        case BroadcastFrame():
            return padded(codec.broadcast(frame.payload))
        case ThrottlingFrame():
            return padded(codec.throttling(frame.level, frame.request_id, frame.order_id))


# ---------------------------------------------------------------------------------------------- server frames


@PROTOCOLS
@pytest.mark.parametrize(("frame", "kind", "fields"), SERVER_FRAMES)
def test_server_frame(protocol: Protocol, frame: ServerFrame, kind: int, fields: list[tuple[str, Any]]) -> None:
    codec = ServerFrameCodec(protocol)
    body = server_body(protocol, kind, *fields)
    assert encoded(codec, frame) == padded(body)
    assert codec.decode(body) == frame
    assert frequent(codec, GARBAGE + padded(body)) in short_cuts(frame)


@PROTOCOLS
def test_transactions_of_every_length(protocol: Protocol) -> None:
    codec = ServerFrameCodec(protocol)
    for size in range(40):
        body = server_body(protocol, 1, ("hyper", size), ("double", 0.5), ("opaque", b"j" * size))
        assert codec.padded_transaction(size, 0.5, b"j" * size) == padded(body)
        frame = TransactionFrame(size, 0.5, b"j" * size)
        assert codec.decode(body) == frequent(codec, GARBAGE + padded(body)) == frame


@PROTOCOLS
@pytest.mark.parametrize(("frame", "kind", "fields"), SERVER_FRAMES)
def test_server_frame_truncated_or_extended(
    protocol: Protocol, frame: ServerFrame, kind: int, fields: list[tuple[str, Any]]
) -> None:
    codec = ServerFrameCodec(protocol)
    body = server_body(protocol, kind, *fields)
    for size in range(len(body)):
        with pytest.raises(cp.DecodeError):
            codec.decode(body[:size])
        assert frequent(codec, GARBAGE + padded(body[:size])) is None
    for more in (b"\0", b"\0\0\0\0", b"\0" * 16, b"x" * 4):
        with pytest.raises(cp.DecodeError):
            codec.decode(body + more)
        assert frequent(codec, GARBAGE + padded(body + more)) is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\0\0\0", "truncated server frame"),
        (struct.pack(">iI", 5, 19) + bytes(20), "malformed server frame: its length field does not match its data"),
        (struct.pack(">iI", 5, 12) + bytes(12), "malformed throttling frame"),
    ],
)
def test_what_is_wrong_with_a_signed_server_body(body: bytes, words: str) -> None:
    with pytest.raises(cp.DecodeError) as caught:
        ServerFrameCodec(Protocol.SIGNED).decode(body)
    assert str(caught.value) == words


@pytest.mark.parametrize("kind", [1, 2])
def test_the_short_cut_takes_lengths_as_unsigned(kind: int) -> None:
    """As a number with a sign, this length would leave just the padding behind the JSON."""
    fields: list[tuple[str, Any]] = [("hyper", 5), ("double", 1.0)] if kind == 1 else [("hyper", 5)]
    body = server_body(Protocol.V5, kind, *fields) + struct.pack(">i", -48)
    plain = GARBAGE + body + b"j" * 48 + (b"\x08" * 8 if kind == 1 else b"\x10" * 16)
    assert frequent(ServerFrameCodec(Protocol.V5), plain) is None


@PROTOCOLS
@pytest.mark.parametrize("kind", [-(2**31), -1, 0, 6, 7, 255, 2**31 - 1])
def test_unknown_server_types(protocol: Protocol, kind: int) -> None:
    codec = ServerFrameCodec(protocol)
    body = server_body(protocol, kind, ("hyper", 1), ("double", 1.0), ("opaque", b"{}"))
    with pytest.raises(cp.UnsupportedMessageType, match=f"unknown type {kind} of a server frame"):
        codec.decode(body)
    assert frequent(codec, GARBAGE + padded(body)) is None


@PROTOCOLS
@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), -float("inf"), -1e-9, -1.0, 1e11, 1e300])
def test_timestamps_that_are_no_time(protocol: Protocol, timestamp: float) -> None:
    codec = ServerFrameCodec(protocol)
    body = server_body(protocol, 1, ("hyper", 1), ("double", timestamp), ("opaque", b"{}"))
    with pytest.raises(cp.DecodeError, match=r"^malformed server message: its timestamp is out of range$"):
        codec.decode(body)
    assert frequent(codec, GARBAGE + padded(body)) is None


@PROTOCOLS
def test_an_error_whose_text_is_not_utf8_is_still_raised(protocol: Protocol) -> None:
    body = server_body(protocol, 3, ("int", 2), ("opaque", b"bad \xff word"))
    assert ServerFrameCodec(protocol).decode(body) == ErrorFrame(2, "bad � word")


@PROTOCOLS
@pytest.mark.parametrize(("frame", "kind", "fields"), SERVER_FRAMES)
def test_a_frame_of_the_other_form_is_named(
    protocol: Protocol, frame: ServerFrame, kind: int, fields: list[tuple[str, Any]]
) -> None:
    other = Protocol.V5 if protocol is Protocol.SIGNED else Protocol.SIGNED
    codec = ServerFrameCodec(protocol)
    body = server_body(other, kind, *fields)
    if protocol is Protocol.V5 and isinstance(frame, BroadcastFrame):
        # The two forms of a broadcast differ in a length before the JSON, which is read as the beginning of the JSON.
        assert codec.decode(body) == BroadcastFrame(struct.pack(">I", len(frame.payload)) + body[12:])
        return
    with pytest.raises(cp.DecodeError, match=rf"pass protocol=Protocol\.{other.name} .*--protocol {other.value}\)"):
        codec.decode(body)


@pytest.mark.parametrize("declared", [0, 1, 23, 25, 28, 2**31, 2**32 - 1])
def test_the_nested_length_is_checked(declared: int) -> None:
    codec = ServerFrameCodec(Protocol.SIGNED)
    body = server_body(Protocol.SIGNED, 1, ("hyper", 1), ("double", 1.0), ("opaque", b"{}"))
    damaged = body[:4] + struct.pack(">I", declared) + body[8:]
    with pytest.raises(cp.DecodeError, match="its length field does not match its data"):
        codec.decode(damaged)
    assert frequent(codec, GARBAGE + padded(damaged)) is None


@PROTOCOLS
@pytest.mark.parametrize("declared", [0, 1, 3, 4, 9, 2**31, 2**32 - 1])
def test_the_length_of_the_json_is_checked(protocol: Protocol, declared: int) -> None:
    codec = ServerFrameCodec(protocol)
    for kind, fields in HEADS:
        body = server_body(protocol, kind, *fields, ("opaque", b"12345"))
        damaged = body[:-12] + struct.pack(">I", declared) + body[-8:]
        with pytest.raises(cp.DecodeError):
            codec.decode(damaged)
        assert frequent(codec, GARBAGE + padded(damaged)) is None


@PROTOCOLS
@pytest.mark.parametrize("fill", [b"\1\0\0", b"\0\1\0", b"\0\0\1", b"xxx"])
def test_fill_has_to_be_zero(protocol: Protocol, fill: bytes) -> None:
    codec = ServerFrameCodec(protocol)
    for kind, fields in HEADS:
        body = server_body(protocol, kind, *fields, ("opaque", b"12345"))
        with pytest.raises(cp.DecodeError):
            codec.decode(body[:-3] + fill)
        assert frequent(codec, GARBAGE + padded(body[:-3] + fill)) is None


@PROTOCOLS
def test_the_short_cut_refuses_wrong_padding(protocol: Protocol) -> None:
    codec = ServerFrameCodec(protocol)
    good = GARBAGE + padded(server_body(protocol, 1, ("hyper", 1), ("double", 1.0), ("opaque", b"{}")))
    assert frequent(codec, good)
    for bad in (good[:-1] + b"\0", good[:-1] + b"\x11", good[:-1], good + good[-16:], good[:-16], good[:44], b""):
        assert frequent(codec, bad) is None


# ---------------------------------------------------------------------------------------------- client frames


@PROTOCOLS
@pytest.mark.parametrize("kind", list(ClientFrameType))
def test_client_frame(protocol: Protocol, kind: ClientFrameType) -> None:
    codec = ClientFrameCodec(protocol)
    for size in range(40):
        number, payload = size * 10**17 * (-1) ** size, b"j" * size
        body = client_body(protocol, kind, number, payload, lambda _: SIGNATURE)
        data = packed(("hyper", number), ("opaque", payload))
        frame = (MessageFrame if kind is ClientFrameType.MESSAGE else RequestFrame)(number, payload)
        assert codec.data(number, payload) == data
        if protocol is Protocol.SIGNED:
            assert codec.signed_body(kind, data, SIGNATURE) == body
            assert codec.decode(body) == (frame, data, SIGNATURE)
        else:
            assert written(kind, number, payload) == padded(body)
            assert codec.decode(body) == (frame, b"", b"")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 512])
def test_signatures_of_any_length(size: int) -> None:
    codec = ClientFrameCodec(Protocol.SIGNED)
    signature = b"s" * size
    body = client_body(Protocol.SIGNED, 1, 5, b"{}", lambda _: signature)
    data = codec.data(5, b"{}")
    assert codec.signed_body(1, data, signature) == body
    assert codec.decode(body) == (MessageFrame(5, b"{}"), data, signature)
    if size % 4:
        end = 4 + size
        with pytest.raises(cp.DecodeError):
            codec.decode(body[:end] + b"\1" + body[end + 1 :])


@PROTOCOLS
@pytest.mark.parametrize("kind", list(ClientFrameType))
def test_client_frame_truncated_or_extended(protocol: Protocol, kind: ClientFrameType) -> None:
    codec = ClientFrameCodec(protocol)
    body = client_body(protocol, kind, 5, b'{"a":1}', lambda _: SIGNATURE)
    for size in range(len(body)):
        with pytest.raises(cp.DecodeError):
            codec.decode(body[:size])
    for more in (b"\0", b"\0\0\0\0", b"\0" * 16, b"x" * 4):
        with pytest.raises(cp.DecodeError):
            codec.decode(body + more)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda body: body[:3], "truncated client frame"),
        (lambda body: body[:8], "truncated client frame"),  # within the signature, the fill of which is empty
        (lambda body: body[:7] + b"x" + body[8:], "malformed client frame"),
        (lambda body: body + b"\0", "malformed client frame: its length field does not match its data"),
        (lambda body: body[:-1] + b"x", "malformed frame: wrong length or fill"),
    ],
)
def test_what_is_wrong_with_a_signed_body(change: Callable[[bytes], bytes], words: str) -> None:
    body = client_body(Protocol.SIGNED, 1, 5, b"{}", lambda _: b"sig")
    with pytest.raises(cp.DecodeError) as caught:
        ClientFrameCodec(Protocol.SIGNED).decode(change(body))
    assert str(caught.value) == words


def short_cut(plain: bytes, limit: int = 2**20) -> ClientFrame | None:
    """What the short cut of the unsigned form makes of a frame that decrypts to *plain*."""
    opener = Opener(bytes(32), limit)
    opener.update = lambda data: plain
    return ClientFrameCodec.reader(opener)(plain)


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("size", range(17))
def test_the_short_cut_reads_whatever_a_client_sends(kind: int, size: int) -> None:
    payload = b"j" * size
    plain = GARBAGE + written(kind, 5, payload)
    frame = short_cut(plain)
    assert frame == (MessageFrame(5, payload) if kind == 1 else RequestFrame(5, payload))
    assert short_cut(plain, len(plain)) == frame
    assert short_cut(plain, len(plain) - 1) is None
    assert short_cut(plain + b"x") is None
    assert short_cut(GARBAGE + written(3, 5, payload)) is None


def test_the_short_cut_of_a_client_takes_lengths_as_unsigned() -> None:
    """As a number with a sign, this one would leave just the padding behind the JSON."""
    body = packed(("enum", 1), ("hyper", 5))
    assert short_cut(GARBAGE + body + struct.pack(">i", -48) + b"j" * 48 + b"\x10" * 16) is None


@PROTOCOLS
@pytest.mark.parametrize("kind", [-(2**31), -1, 0, 3, 4, 5, 2**31 - 1])
def test_unknown_client_types(protocol: Protocol, kind: int) -> None:
    body = client_body(protocol, kind, 5, b"{}", lambda _: SIGNATURE)
    with pytest.raises(cp.UnsupportedMessageType, match=f"unknown type {kind} of a client frame"):
        ClientFrameCodec(protocol).decode(body)


@pytest.mark.parametrize("declared", [0, 1, 15, 17, 2**31, 2**32 - 1, 2**32 - 4])
def test_the_lengths_of_a_signed_frame_are_checked(declared: int) -> None:
    codec = ClientFrameCodec(Protocol.SIGNED)
    body = client_body(Protocol.SIGNED, 1, 5, b"{}", lambda _: SIGNATURE)
    for place in (0, 264, 276):  # of the signature, of the data, of the JSON
        with pytest.raises(cp.DecodeError):
            codec.decode(body[:place] + struct.pack(">I", declared) + body[place + 4 :])


# ---------------------------------------------------------------------------------------------- numbers and errors


def test_the_numbers_are_those_of_the_protocol() -> None:
    assert {kind.name: kind.value for kind in ClientFrameType} == {"MESSAGE": 1, "RPC_REQUEST": 2}
    assert {kind.name: kind.value for kind in ServerFrameType} == {
        "MESSAGE": 1,
        "RPC_RESPONSE": 2,
        "ERROR": 3,
        "BROADCAST": 4,
        "THROTTLING": 5,
    }
    assert {kind.name: kind.value for kind in ErrorType} == {
        "UNKNOWN": -1,
        "DUPLICATE_CLIENT_ORDER_ID": 1,
        "INVALID_PAYLOAD": 2,
        "TRADES_DISABLED": 3,
    }
    assert Protocol.SIGNED.version is None
    assert Protocol.V5.version == 5


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, cp.DuplicateClientOrderId),
        (2, cp.InvalidPayload),
        (3, cp.TradesDisabled),
        (-1, cp.UnknownServerError),
        (0, cp.UnknownServerError),
        (4, cp.UnknownServerError),
        (-2, cp.UnknownServerError),
        (2**31 - 1, cp.UnknownServerError),
        (-(2**31), cp.UnknownServerError),
    ],
)
def test_error_types(number: int, expected: type[cp.ServerError]) -> None:
    error = server_error(number, "in its own words")
    assert type(error) is expected
    assert isinstance(error, cp.ServerError)
    assert (error.error_type, error.text) == (number, "in its own words")
    assert str(error) == f"the exchange reports error {number}: in its own words"


@pytest.mark.parametrize("number", [-1, 0, 2, 99])
def test_a_missed_heartbeat_is_no_server_error(number: int) -> None:
    error = server_error(number, "TimeoutError()")
    assert type(error) is cp.HeartbeatTimeout
    assert str(error).endswith(": the exchange missed our heartbeat")
    assert type(server_error(number, "TimeoutError")) is not cp.HeartbeatTimeout


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4000, cp.ConcurrentConnection),
        (4001, cp.InvalidSequence),
        (4009, cp.RateLimited),
        (1012, cp.ServerRestart),
        (CloseCode.NORMAL, cp.ConnectionClosed),
        (1006, cp.ConnectionClosed),
        (4999, cp.ConnectionClosed),
        (-1, cp.ConnectionClosed),
        (None, cp.ConnectionClosed),
    ],
)
def test_close_codes(code: int | None, expected: type[cp.ConnectionClosed]) -> None:
    error = connection_closed(code, "why")
    assert type(error) is expected
    assert (error.code, error.reason, error.position) == (code, "why", None)
    assert ("without a close code" if code is None else f"with code {int(code)}") in str(error)


def test_frames_need_not_be_tracked_by_the_garbage_collector() -> None:
    for frame, _, _ in SERVER_FRAMES:
        assert not gc.is_tracked(frame)
    assert not gc.is_tracked(MessageFrame(1, b""))
    assert not gc.is_tracked(RequestFrame(1, b""))
