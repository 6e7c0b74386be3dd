"""What the tests of the wire share: the vectors, the openssl program, XDR by xdrlib3, and pairs of open sessions."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xdrlib3

import cryptoproto as cp
from cryptoproto.wire import (
    BroadcastFrame,
    ClientFrameCodec,
    ClientHello,
    ClientSession,
    ErrorFrame,
    Opened,
    Opener,
    Protocol,
    Proven,
    ResponseFrame,
    Sealer,
    ServerFrame,
    ServerFrameCodec,
    ServerSession,
    ThrottlingFrame,
    TransactionFrame,
)
from cryptoproto.wire.batch_reader import batch_reader

VECTORS = Path(__file__).parents[1] / "vectors"
OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="the openssl program is not installed")


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    assert OPENSSL is not None
    return subprocess.run([OPENSSL, *arguments], input=stdin, capture_output=True, check=True, timeout=60).stdout


@functools.cache
def vectors(name: str) -> Any:
    """The content of one file of vectors."""
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


@functools.cache
def private_key(name: str) -> cp.PrivateKey:
    return cp.PrivateKey.from_pem(vectors("keys")[name]["private"].encode())


def public_key(name: str) -> cp.PublicKey:
    return private_key(name).public_key


class Dice:
    """A source of randomness that gives what it is told, each piece for a request of its size, and then counts on."""

    def __init__(self, *told: bytes) -> None:
        self.told = list(told)
        self.asked: list[int] = []
        self._next = 1

    def __call__(self, size: int) -> bytes:
        self.asked.append(size)
        if self.told:
            piece = self.told.pop(0)
            assert len(piece) == size
            return piece
        self._next += 1
        return self._next.to_bytes(8, "big").rjust(size, b"\xa5")[-size:]


def packed(*fields: tuple[str, Any]) -> bytes:
    """XDR by the oracle: ``packed(("enum", 1), ("hyper", 5), ("opaque", b"{}"))``."""
    packer = xdrlib3.Packer()
    for kind, value in fields:
        getattr(packer, f"pack_{kind}")(value)
    buffer: bytes = packer.get_buffer()
    return buffer


def server_body(protocol: Protocol, kind: int, *fields: tuple[str, Any]) -> bytes:
    """The body of a server frame by the oracle."""
    if protocol is Protocol.SIGNED:
        return packed(("enum", kind), ("opaque", packed(*fields)))
    return packed(("enum", kind), *fields)


def client_body(protocol: Protocol, kind: int, number: int, payload: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The body of a client frame by the oracle."""
    data = packed(("hyper", number), ("opaque", payload))
    if protocol is Protocol.SIGNED:
        return packed(("opaque", sign(data)), ("enum", kind), ("opaque", data))
    return packed(("enum", kind)) + data


def by_oracle(protocol: Protocol, frame: ServerFrame) -> bytes:
    """The body of a server frame as xdrlib3 writes it."""
    match frame:
        case TransactionFrame():
            time = ("double", frame.timestamp)
            return server_body(protocol, 1, ("hyper", frame.transaction_id), time, ("opaque", frame.payload))
        case ResponseFrame():
            return server_body(protocol, 2, ("hyper", frame.request_id), ("opaque", frame.payload))
        case ErrorFrame():
            return server_body(protocol, 3, ("int", frame.error_type), ("opaque", frame.text.encode()))
        case BroadcastFrame():
            return server_body(protocol, 4, ("opaque", frame.payload))
        case ThrottlingFrame():
            ids = [("hyper", frame.request_id), ("hyper", frame.order_id)]
            return server_body(protocol, 5, ("int", frame.level), *ids)


def read_by_oracle(protocol: Protocol, body: bytes) -> ServerFrame | None:
    """What xdrlib3 makes of a server's body; ``None`` for anything that is not right. It does not look at fill."""
    try:
        unpacker = xdrlib3.Unpacker(body)
        kind = unpacker.unpack_enum()
        if protocol is Protocol.SIGNED:
            data = unpacker.unpack_opaque()
            unpacker.done()
            unpacker = xdrlib3.Unpacker(data)
        frame: ServerFrame
        if kind == 1:
            frame = TransactionFrame(unpacker.unpack_hyper(), unpacker.unpack_double(), unpacker.unpack_opaque())
        elif kind == 2:
            frame = ResponseFrame(unpacker.unpack_hyper(), unpacker.unpack_opaque())
        elif kind == 3:
            frame = ErrorFrame(unpacker.unpack_int(), unpacker.unpack_opaque().decode("utf-8", "replace"))
        elif kind == 4:
            frame = BroadcastFrame(unpacker.unpack_opaque())
        elif kind == 5:
            frame = ThrottlingFrame(unpacker.unpack_int(), unpacker.unpack_hyper(), unpacker.unpack_hyper())
        else:
            return None
        unpacker.done()
    except (EOFError, xdrlib3.Error):
        return None
    return frame


def padded(body: bytes) -> bytes:
    """*body* with PKCS7 padding."""
    missing = 16 - len(body) % 16
    return body + bytes([missing]) * missing


def sessions(
    protocol: Protocol,
    *,
    random: Callable[[int], bytes] | None = None,
    resume_from: int = 0,
    last_sequence: int = 0,
    max_frame_bytes: int = 2**20,
) -> tuple[ClientSession, ServerSession]:
    """A client session and a server session that have shaken hands."""
    dice = random or Dice()
    client = ClientSession(
        client_id="alice",
        private_key=private_key("client"),
        server_key=public_key("server"),
        random=dice,
        resume_from=resume_from,
        protocol=protocol,
        max_frame_bytes=max_frame_bytes,
    )
    server = ServerSession(private_key("server"), dice, max_frame_bytes)
    assert isinstance(server.receive(client.hello()), ClientHello)
    opened = client.receive(server.accept(public_key("client"), last_sequence))
    assert isinstance(opened, Opened)
    assert isinstance(server.receive(opened.proof), Proven)
    return client, server


def message_frame(client: ClientSession, payload: bytes = b"{}") -> bytes:
    """The frame of the next message, signed where the protocol wants it."""
    if client.protocol is Protocol.V5:
        return client.message_frame(payload)[1]
    return client.seal_body(client.signed_body(client.draft_message(payload)))


def request_frame(client: ClientSession, payload: bytes = b"{}") -> bytes:
    """The frame of the next request; see :func:`message_frame`."""
    if client.protocol is Protocol.V5:
        return client.request_frame(payload)[1]
    return client.seal_body(client.signed_body(client.draft_request(payload)))


def fails(call: Callable[[], object]) -> str | None:
    """The name of the error that *call* ends with; ``None`` where it succeeds. Only for the package's own errors."""
    try:
        call()
    except cp.CryptoprotoError as error:
        return type(error).__name__
    return None


def short_cuts(frame: ServerFrame) -> tuple[ServerFrame | None, ...]:
    """What the short cut may make of *frame*: the very short responses take the long way."""
    if isinstance(frame, TransactionFrame):
        return (frame,)
    return (frame, None) if isinstance(frame, ResponseFrame) else (None,)


def opened(plain: bytes) -> bytes:
    """The body in *plain*, as an opener takes it out of a frame that decrypts to it."""
    return _plain_opener().open(plain)


def frequent(codec: ServerFrameCodec, plain: bytes) -> ServerFrame | None:
    """What the short cut makes of a frame that decrypts to *plain*; the one for a whole read must agree."""
    alone = codec.reader(_plain_opener())(plain)
    protocol = Protocol.SIGNED if codec._nested else Protocol.V5
    together = batch_reader(protocol, _plain_opener())([plain] * 4)
    assert together == ([] if len(plain) % 16 else [alone] * 4)
    return alone


def written(kind: int, number: int, payload: bytes) -> bytes:
    """The body that a client's short cut of ``V5`` seals, with its padding."""
    sealer = Sealer(bytes(32), bytes)
    plain: list[bytes] = []

    def keep(data: bytes | bytearray | memoryview) -> bytes:
        plain.append(bytes(data))
        return b""

    sealer.update = keep
    ClientFrameCodec(Protocol.V5).writer(sealer)(kind, number, payload)
    return plain[0][16:]


@functools.cache
def _plain_opener() -> Opener:
    """Opens frames that are not encrypted."""
    opener = Opener(bytes(32))
    opener.update = bytes
    return opener
