"""Handshakes and open sessions, both roles and both protocols: frames as they come over the network.

An input of an open session is a list of pieces: a byte that says what to do with the rest of the piece, two bytes of
length, and the rest. So damage reaches what is behind the cipher and behind the signature as well.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import cast
from zlib import crc32

import cryptoproto as cp
from cryptoproto.wire import (
    ClientHello,
    ClientSession,
    MessageFrame,
    Opened,
    Protocol,
    Proven,
    RequestFrame,
    Sealer,
    ServerSession,
    TransactionFrame,
)
from cryptoproto.wire.handshake import CHALLENGE_BYTES
from tests.fuzz.target import Cost, Target
from tests.fuzz.targets.wire import (
    CLIENT_FRAMES,
    SERVER_FRAMES,
    WORDS,
    client_hello_seeds,
    numbers,
    server_hello_seeds,
)
from tests.support.wire_oracle import Dice, by_oracle, client_body, private_key, public_key, sessions

__all__ = ["TARGETS", "pieces"]

_SEALED, _RAW, _DAMAGED, _UNSIGNED = range(4)


def pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The pieces of an input; the last one may be short."""
    at = 0
    while at + 3 <= len(data):
        what, size = struct.unpack_from(">BH", data, at)
        yield what & 3, data[at + 3 : at + 3 + size]
        at += 3 + size


def joined(*parts: tuple[int, bytes]) -> bytes:
    """The input with these pieces."""
    return b"".join(struct.pack(">BH", what, len(rest)) + rest for what, rest in parts)


class Pair:
    """A client and a server that have shaken hands, with the keys of both directions."""

    def __init__(self, protocol: Protocol) -> None:
        drawn: list[bytes] = []
        dice = Dice()

        def noted(size: int) -> bytes:
            drawn.append(dice(size))
            return drawn[-1]

        self.client, self.server = sessions(protocol, random=noted)
        keys = [piece for piece in drawn if len(piece) == 32]
        # The client draws its key first. The server draws its key, then the challenge.
        self.to_server, self.to_client = (Sealer(key, Dice()) for key in (keys[0], keys[1]))


@cache
def pair(protocol: Protocol) -> Pair:
    return Pair(protocol)


def frames(sealer: Sealer, data: bytes) -> Iterator[bytes]:
    for what, rest in pieces(data):
        if what == _RAW:
            yield rest
        elif what == _DAMAGED:
            frame = bytearray(sealer.seal(rest[1:]))
            if rest:
                frame[rest[0] % len(frame)] ^= 1
            yield bytes(frame)
        else:
            yield sealer.seal(rest)


def client_session(protocol: Protocol) -> Target:
    def read(data: bytes) -> None:
        session = pair(protocol).client
        session.last_transaction_id = 0
        session._replay_is_over = False
        for frame in frames(pair(protocol).to_client, data):
            before = session.last_transaction_id
            received = session.receive(frame)
            if isinstance(received, TransactionFrame):
                assert received.transaction_id == session.last_transaction_id > before
            else:
                assert session.last_transaction_id == before

    def seeds() -> Iterator[bytes]:
        bodies = [by_oracle(protocol, frame) for frame in SERVER_FRAMES]
        again = [by_oracle(protocol, TransactionFrame(number, 1.0, b"{}")) for number in (1, 2, 2, 1, 9)]
        yield joined(*((_SEALED, body) for body in bodies))
        yield joined(*((_SEALED, body) for body in again), (_SEALED, bodies[2]), (_SEALED, again[0]))
        yield joined((_SEALED, bodies[0]), (_DAMAGED, b"\x05" + bodies[0]), (_RAW, b"x" * 48))

    return Target(
        f"client-session-{protocol.value}",
        read,
        (cp.DecodeError, cp.HistoryRewound),
        seeds,
        words=(*WORDS, *(by_oracle(protocol, frame) for frame in SERVER_FRAMES)),
        cost=Cost(calls=3000, calls_per_byte=30, memory=100_000, memory_per_byte=100),
    )


def server_session(protocol: Protocol) -> Target:
    def read(data: bytes) -> None:
        session = pair(protocol).server
        session.next_sequence = 1
        for frame in frames(pair(protocol).to_server, data):
            before = session.next_sequence
            received = session.receive(frame)
            assert isinstance(received, MessageFrame | RequestFrame)
            assert session.next_sequence == before + isinstance(received, MessageFrame)

    def sign(data: bytes) -> bytes:
        return private_key("client").sign(data)

    @cache
    def bodies() -> tuple[bytes, ...]:
        second = MessageFrame(2, b"{}")
        return tuple(
            client_body(protocol, *numbers(frame), frame.payload, sign) for frame in (*CLIENT_FRAMES[:2], second)
        )

    def seeds() -> Iterator[bytes]:
        yield joined(*((_SEALED, body) for body in bodies()))
        yield joined((_SEALED, bodies()[0]), (_SEALED, bodies()[0]))
        yield joined((_SEALED, bodies()[1]), (_DAMAGED, b"\x05" + bodies()[1]), (_RAW, b"x" * 48))

    return Target(
        f"server-session-{protocol.value}",
        read,
        (cp.DecodeError, cp.InvalidSequence, cp.InvalidKey),
        seeds,
        words=WORDS,
        longest=4096,
        cost=Cost(calls=3000, calls_per_byte=30, memory=100_000, memory_per_byte=100),
        in_suite=500,
    )


# The handshake. The first byte says what the rest is: a frame, or what a frame holds that is encrypted for the reader.
# RSA takes as long as a hundred inputs, so only one input in 64 goes through it, and always does.

_ENCRYPTED = 1
_ROOM = 214  # bytes that RSA-2048 with OAEP can encrypt
_FRAME = bytes(256)


class _Reader:
    """The private key of who reads a frame: it knows what the frame holds, or does RSA."""

    def __init__(self, name: str) -> None:
        self._key = private_key(name)
        self._plain: bytes | None = None
        self._by_rsa = False

    def frame(self, data: bytes) -> bytes:
        """The frame that an input stands for."""
        self._by_rsa = crc32(data) % 64 == 0
        self._plain = data[1 : 1 + _ROOM] if data[:1] and data[0] & _ENCRYPTED else None
        if self._plain is None:
            return data[1:]
        return self._key.public_key.encrypt(self._plain) if self._by_rsa else _FRAME

    def decrypt(self, frame: bytes) -> bytes:
        if self._by_rsa:
            return self._key.decrypt(frame)
        if self._plain is None:
            raise cp.InvalidKey("not encrypted for this key")
        return self._plain

    def sign(self, challenge: bytes) -> bytes:
        """A server chooses what is signed, so it must not be able to choose an order."""
        assert len(challenge) == CHALLENGE_BYTES
        return self._key.sign(challenge) if self._by_rsa else challenge


class _Exchange:
    """The public key of the exchange, where nobody reads the client's hello."""

    bits = 2048
    max_plaintext = _ROOM

    def encrypt(self, plaintext: bytes) -> bytes:
        return plaintext


@cache
def reader(name: str) -> _Reader:
    return _Reader(name)


def server_handshake(data: bytes) -> None:
    """A first frame, and where it is accepted a proof and a frame more."""
    key = reader("server")
    session = ServerSession(cast("cp.PrivateKey", key), Dice())
    hello = session.receive(key.frame(data))
    assert isinstance(hello, ClientHello)
    session.accept(public_key("client"), 0)
    proof = session.receive(data)
    assert isinstance(proof, Proven), "bytes that are no signature prove nothing"
    raise AssertionError("an input cannot know the challenge")


def client_handshake(protocol: Protocol) -> Callable[[bytes], None]:
    @cache
    def waiting() -> ClientSession:
        return ClientSession(
            client_id="alice",
            private_key=cast("cp.PrivateKey", reader("client")),
            server_key=cast("cp.PublicKey", _Exchange()),
            random=Dice(),
            protocol=protocol,
        )

    def read(data: bytes) -> None:
        session = waiting()
        session._read = session._receive_hello
        opened = session.receive(reader("client").frame(data))
        assert isinstance(opened, Opened)
        assert session.next_sequence == opened.last_sequence + 1 < 2**63

    return read


def _hellos(first: bytes) -> Iterator[bytes]:
    for plain in client_hello_seeds() if first == b"c" else server_hello_seeds():
        yield bytes([_ENCRYPTED]) + plain
    yield b"\0" + bytes(256)


HANDSHAKE_COST = Cost(calls=4000, calls_per_byte=20, memory=200_000, memory_per_byte=100)

TARGETS: tuple[Target, ...] = (
    *map(client_session, Protocol),
    *map(server_session, Protocol),
    Target(
        "handshake-server",
        server_handshake,
        (cp.DecodeError, cp.InvalidKey, cp.UnsupportedVersion),
        lambda: _hellos(b"c"),
        words=WORDS,
        longest=600,
        cost=HANDSHAKE_COST,
        in_suite=1000,
    ),
    *(
        Target(
            f"handshake-client-{protocol.value}",
            client_handshake(protocol),
            (cp.DecodeError, cp.InvalidKey, cp.UnsupportedVersion),
            lambda: _hellos(b"s"),
            words=WORDS,
            longest=600,
            cost=HANDSHAKE_COST,
            in_suite=1000,
        )
        for protocol in Protocol
    ),
)
