"""Frame bodies, the cipher, the hellos, and market-data frames: the wire without sessions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, cast

import xdrlib3
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

import cryptoproto as cp
from cryptoproto.wire import (
    BroadcastFrame,
    ClientFrame,
    ClientFrameCodec,
    ErrorFrame,
    MessageFrame,
    Opener,
    Protocol,
    RequestFrame,
    ResponseFrame,
    Sealer,
    ServerFrame,
    ServerFrameCodec,
    ThrottlingFrame,
    TransactionFrame,
    market_frame,
    market_hello,
    read_market_frame,
    read_market_hello,
)
from cryptoproto.wire.handshake import read_client_hello, read_server_hello
from tests.fuzz.target import Cost, Target
from tests.support.wire_oracle import (
    by_oracle,
    client_body,
    frequent,
    opened,
    packed,
    padded,
    read_by_oracle,
    short_cuts,
)

__all__ = ["CLIENT_FRAMES", "SERVER_FRAMES", "TARGETS"]

KEY = bytes(range(32))
SERVER_FRAMES: tuple[ServerFrame, ...] = (
    TransactionFrame(7, 1_700_000_000.5, b'{"@type":"OrderNotFound","order_id":1}'),
    TransactionFrame(-1, 0.0, b""),
    ResponseFrame(1, b'{"@type":"UserOrdersResponse","order_books":{}}'),
    ResponseFrame(2**63 - 1, b"{}"),
    ErrorFrame(2, "invalid payload é"),
    ErrorFrame(-1, "TimeoutError()"),
    BroadcastFrame(b'{"@type":"TradesDisabledOnPairs","trade_pairs":["BTC_USD"]}'),
    ThrottlingFrame(3, 1, -1),
)
CLIENT_FRAMES: tuple[ClientFrame, ...] = (
    MessageFrame(1, b'{"@type":"CancelAllOrders"}'),
    RequestFrame(2, b'{"@type":"UserBalanceRequest"}'),
    MessageFrame(2**63 - 1, b""),
)
WORDS = (b"\0\0\0\1", b"\0\0\0\2", b"\0\0\0\3", b"\0\0\0\4", b"\0\0\0\5", bytes(8), b"\x42\x0c", b"\x7f\xf8" + bytes(6))
FRAME_COST = Cost(calls=400, calls_per_byte=2, memory=60_000, memory_per_byte=40)


def server_bodies(protocol: Protocol) -> Target:
    """Bodies that a client reads; xdrlib3 must agree, and so must the short cut for frequent frames."""
    codec = ServerFrameCodec(protocol)

    def check(body: bytes, frame: ServerFrame) -> None:
        assert frame == read_by_oracle(protocol, body)
        if not isinstance(frame, ErrorFrame):  # text that is not UTF-8 is replaced
            assert by_oracle(protocol, frame) == body
        assert frequent(codec, KEY[:16] + padded(body)) in short_cuts(frame)

    def check_refused(body: bytes) -> None:
        frame = read_by_oracle(protocol, body)
        if frame is not None:  # xdrlib3 accepts any fill and any time
            late = isinstance(frame, TransactionFrame) and not 0 <= frame.timestamp < 1e11
            assert late or by_oracle(protocol, frame) != body
        assert frequent(codec, KEY[:16] + padded(body)) is None

    return Target(
        f"server-bodies-{protocol.value}",
        codec.decode,
        (cp.DecodeError,),
        lambda: (by_oracle(protocol, frame) for frame in SERVER_FRAMES),
        check,
        check_refused,
        words=WORDS,
        longest=512,
        cost=FRAME_COST,
    )


def client_bodies(protocol: Protocol) -> Target:
    """Bodies that a server reads; what is accepted must be what xdrlib3 writes."""
    codec = ClientFrameCodec(protocol)

    def check(body: bytes, result: tuple[ClientFrame, bytes, bytes]) -> None:
        frame, data, signature = result
        kind, number = numbers(frame)
        assert client_body(protocol, kind, number, frame.payload, lambda _: signature) == body
        assert data == (codec.data(number, frame.payload) if protocol is Protocol.SIGNED else b"")

    def check_refused(body: bytes) -> None:
        result = _client_frame_by_oracle(protocol, body)
        if result is not None:
            kind, number, payload, signature = result
            assert client_body(protocol, kind, number, payload, lambda _: signature) != body

    return Target(
        f"client-bodies-{protocol.value}",
        codec.decode,
        (cp.DecodeError,),
        lambda: (client_body(protocol, *numbers(each), each.payload, lambda _: b"s" * 256) for each in CLIENT_FRAMES),
        check,
        check_refused,
        words=WORDS,
        longest=768,
        cost=FRAME_COST,
    )


def numbers(frame: ClientFrame) -> tuple[int, int]:
    """The type of a client's frame, and its sequence or request id."""
    return (1, frame.sequence) if isinstance(frame, MessageFrame) else (2, frame.request_id)


def _client_frame_by_oracle(protocol: Protocol, body: bytes) -> tuple[int, int, bytes, bytes] | None:
    try:
        unpacker = xdrlib3.Unpacker(body)
        signature = unpacker.unpack_opaque() if protocol is Protocol.SIGNED else b""
        kind = unpacker.unpack_enum()
        if protocol is Protocol.SIGNED:
            data = unpacker.unpack_opaque()
            unpacker.done()
            unpacker = xdrlib3.Unpacker(data)
        number, payload = unpacker.unpack_hyper(), unpacker.unpack_opaque()
        unpacker.done()
    except (EOFError, xdrlib3.Error):
        return None
    return (kind, number, payload, signature) if kind in (1, 2) else None


# Cipher


def cipher_seeds() -> Iterator[bytes]:
    sealer = Sealer(KEY, lambda size: b"n" * size)
    for size in (0, 1, 15, 16, 33):
        yield sealer.seal(bytes(range(size)))


def by_new_cipher(frame: bytes) -> bytes | None:
    """What a cipher that is made for this frame alone makes of it."""
    if len(frame) < 32 or len(frame) % 16:
        return None
    decryptor = Cipher(AES(KEY), CBC(frame[:16])).decryptor()
    plain = decryptor.update(frame[16:]) + decryptor.finalize()
    unpadder = PKCS7(128).unpadder()
    try:
        return unpadder.update(plain) + unpadder.finalize()
    except ValueError:
        return None


def check_opened(frame: bytes, body: bytes) -> None:
    assert body == by_new_cipher(frame)


def check_not_opened(frame: bytes) -> None:
    assert len(frame) > 2**20 or by_new_cipher(frame) is None


def read_padded(plain: bytes) -> bytes:
    """What an opener takes out of a frame that decrypts to *plain*, which random frames hardly ever pad well."""
    return opened(plain)


def check_unpadded(plain: bytes, body: bytes) -> None:
    assert KEY[:16] + padded(body) == KEY[:16] + plain[16:]


# Hellos: a key that decrypts to the input makes the content reachable


class _Open:
    """Stands in for a private key: what was encrypted is the plaintext."""

    def decrypt(self, ciphertext: bytes) -> bytes:
        return ciphertext


OPEN = cast("cp.PrivateKey", _Open())


def client_hello_seeds() -> Iterator[bytes]:
    plain = packed(("opaque", b"alice"), ("hyper", 5), ("opaque", KEY))
    yield from (plain, plain + packed(("uint", 5)), plain + packed(("uint", 2)))


def server_hello_seeds() -> Iterator[bytes]:
    plain = packed(("opaque", KEY[::-1]), ("hyper", 5), ("opaque", KEY))
    yield from (plain, plain + packed(("uint", 5)), plain + packed(("uint", 4)))


def check_hello(plain: bytes, first: bytes, number: int, key: bytes, version: int | None) -> None:
    """What was read must be what xdrlib3 writes, whatever the fill was."""
    again = packed(("opaque", first), ("hyper", number), ("opaque", key))
    again += b"" if version is None else packed(("uint", version))
    assert len(again) == len(plain)
    assert len(key) == 32


MARKET_COST = Cost(calls=100, calls_per_byte=1, memory=20_000, memory_per_byte=10)


@cache
def openers() -> Opener:
    """One context for all frames, as in a connection."""
    return Opener(KEY)


def check_market(frame: bytes, payload: Any) -> None:
    assert market_frame(payload) == frame
    assert packed(("enum", 4), ("opaque", payload)) == frame


TARGETS: tuple[Target, ...] = (
    *map(server_bodies, Protocol),
    *map(client_bodies, Protocol),
    Target(
        "cipher",
        lambda frame: openers().open(frame),
        (cp.DecodeError,),
        cipher_seeds,
        check_opened,
        check_not_opened,
        longest=512,
        cost=FRAME_COST,
    ),
    Target(
        "padding",
        read_padded,
        (cp.DecodeError,),
        lambda: (KEY[:16] + padded(bytes(size)) for size in (0, 1, 15, 16, 40)),
        check_unpadded,
        words=tuple(bytes([count]) * count for count in range(1, 18)),
        longest=256,
        cost=FRAME_COST,
    ),
    Target(
        "client-hello",
        lambda plain: read_client_hello(plain, OPEN),
        (cp.DecodeError,),
        client_hello_seeds,
        lambda plain, hello: check_hello(
            plain, hello.client_id.encode("ascii"), hello.last_seen_order, hello.aes_key, hello.version
        ),
        words=WORDS,
        longest=256,
    ),
    Target(
        "server-hello",
        lambda plain: read_server_hello(plain, OPEN, Protocol.V5),
        (cp.DecodeError, cp.UnsupportedVersion),
        server_hello_seeds,
        lambda plain, hello: check_hello(
            plain, hello.challenge, hello.last_seen_sequence, hello.aes_key, hello.version
        ),
        words=WORDS,
        longest=256,
    ),
    Target(
        "market-frames",
        read_market_frame,
        (cp.DecodeError,),
        lambda: (market_frame(payload) for payload in (b"", b"{}", b'{"@type":"AnonymousTrade"}')),
        check_market,
        words=WORDS,
        longest=256,
        cost=MARKET_COST,
    ),
    Target(
        "market-hello",
        read_market_hello,
        (cp.DecodeError,),
        lambda: (market_hello(), market_hello(2)),
        lambda frame, version: None if market_hello(version) == frame else _wrong(version),
        longest=16,
        cost=MARKET_COST,
        in_suite=200,
    ),
)


def _wrong(version: object) -> None:
    raise AssertionError(f"the hello of version {version} is not what was read")
