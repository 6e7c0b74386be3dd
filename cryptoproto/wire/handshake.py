"""The three frames of the handshake, both sides, as pure functions (protocol, section "Handshake").

1. Client to server, encrypted with the server's RSA key: client id, last transaction id seen, and an AES key.
2. Server to client, encrypted with the client's RSA key: a challenge, the last sequence seen, and an AES key.
3. Client to server: the signature of the challenge.
"""

from __future__ import annotations

from typing import Final

import msgspec
import xdrlib3

from ..exceptions import ConfigurationError, DecodeError, InvalidKey, UnsupportedVersion
from ..keys import PrivateKey, PublicKey
from .cipher import KEY_BYTES
from .codes import Protocol

__all__ = [
    "CHALLENGE_BYTES",
    "ClientHello",
    "ServerHello",
    "client_hello",
    "read_client_hello",
    "read_server_hello",
    "server_hello",
]

CHALLENGE_BYTES: Final = 32
_MARKET_HELLO_BYTES: Final = 4  # an unsigned int, the version
_HYPER: Final = 2**63
_LAST_SEQUENCE: Final = 2**62  # larger values are damage: all later sequences of the session have to fit 64 bits


class ClientHello(msgspec.Struct, frozen=True):
    """The content of the first frame."""

    client_id: str
    last_seen_order: int
    aes_key: bytes
    version: int | None = None

    def __repr__(self) -> str:
        return f"ClientHello(client_id={self.client_id!r}, last_seen_order={self.last_seen_order})"


class ServerHello(msgspec.Struct, frozen=True):
    """The content of the second frame."""

    challenge: bytes
    last_seen_sequence: int
    aes_key: bytes
    version: int | None = None

    def __repr__(self) -> str:
        return f"ServerHello(last_seen_sequence={self.last_seen_sequence}, version={self.version})"


def client_hello(hello: ClientHello, server_key: PublicKey) -> bytes:
    """The first frame.

    Raises:
        ConfigurationError: the client id is empty, not printable ASCII, or too long for the server's key; or the
            last seen order is not a 64-bit number.
    """
    client_id = hello.client_id
    if not client_id or not client_id.isascii() or not client_id.isprintable():
        raise ConfigurationError(f"client_id={client_id!r} must be one or more printable ASCII characters")
    if not -_HYPER <= hello.last_seen_order < _HYPER:
        raise ConfigurationError(f"resume_from={hello.last_seen_order} is not a 64-bit transaction id")
    packer = xdrlib3.Packer()
    packer.pack_opaque(client_id.encode("ascii"))
    packer.pack_hyper(hello.last_seen_order)
    packer.pack_opaque(hello.aes_key)
    if hello.version is not None:
        packer.pack_uint(hello.version)
    payload: bytes = packer.get_buffer()
    if len(payload) > server_key.max_plaintext:
        room = (server_key.max_plaintext - (len(payload) - _opaque_size(len(client_id)))) // 4 * 4 - 4
        raise ConfigurationError(
            f"client_id has {len(client_id)} characters; the handshake under this server's RSA-{server_key.bits} key "
            f"has room for {room}"
        )
    return server_key.encrypt(payload)


def _opaque_size(length: int) -> int:
    return 4 + (length + 3) // 4 * 4


def read_client_hello(frame: bytes, private_key: PrivateKey) -> ClientHello:
    """Read the first frame, as the server.

    Raises:
        InvalidKey: it was not encrypted with the public key of *private_key*.
        DecodeError: its content is malformed.
    """
    unpacker = xdrlib3.Unpacker(private_key.decrypt(frame))
    try:
        client_id = unpacker.unpack_opaque().decode("ascii")
        last_seen_order = unpacker.unpack_hyper()
        aes_key = unpacker.unpack_opaque()
        version = _optional_version(unpacker)
    except (EOFError, xdrlib3.Error, ValueError):
        raise DecodeError("malformed client hello") from None
    if len(aes_key) != KEY_BYTES or not client_id:
        raise DecodeError("malformed client hello")
    return ClientHello(client_id, last_seen_order, aes_key, version)


def server_hello(hello: ServerHello, client_key: PublicKey) -> bytes:
    """The second frame."""
    packer = xdrlib3.Packer()
    packer.pack_opaque(hello.challenge)
    packer.pack_hyper(hello.last_seen_sequence)
    packer.pack_opaque(hello.aes_key)
    if hello.version is not None:
        packer.pack_uint(hello.version)
    return client_key.encrypt(packer.get_buffer())


def read_server_hello(frame: bytes, private_key: PrivateKey, protocol: Protocol) -> ServerHello:
    """Read the second frame, as the client. A server that sends no version is assumed to speak *protocol*.

    Raises:
        InvalidKey: it was not encrypted with the public key of *private_key*.
        UnsupportedVersion: the server speaks a different version.
        DecodeError: its content is malformed.
    """
    if len(frame) == _MARKET_HELLO_BYTES:  # any RSA key makes a longer one
        raise DecodeError(
            "the first frame is not that of a trading connection; is this the address of market data? Trading has "
            "its own address"
        )
    try:
        payload = private_key.decrypt(frame)
    except InvalidKey:
        raise InvalidKey(
            "the exchange's answer cannot be decrypted with this private key: it knows another public key for this "
            "client id; register the matching one, or load the private key that belongs to the registered one"
        ) from None
    unpacker = xdrlib3.Unpacker(payload)
    try:
        challenge = unpacker.unpack_opaque()
        last_seen_sequence = unpacker.unpack_hyper()
        aes_key = unpacker.unpack_opaque()
        version = _optional_version(unpacker)
    except (EOFError, xdrlib3.Error):
        raise DecodeError("malformed server hello") from None
    # The size is exact, so that a server cannot have an order signed by sending it as a challenge.
    if len(challenge) != CHALLENGE_BYTES or len(aes_key) != KEY_BYTES or last_seen_sequence > _LAST_SEQUENCE:
        raise DecodeError("malformed server hello")
    if version is not None and version != protocol.version:
        raise UnsupportedVersion(
            f"the exchange speaks version {version} of the protocol, this client {_spoken(protocol)}; "
            f"pass the other protocol="
        )
    return ServerHello(challenge, last_seen_sequence, aes_key, version)


def _spoken(protocol: Protocol) -> str:
    return "the signed form without a version" if protocol.version is None else f"version {protocol.version}"


def _optional_version(unpacker: xdrlib3.Unpacker) -> int | None:
    """The unsigned int that newer peers append, if present. Anything after it is an error."""
    try:
        unpacker.done()
    except xdrlib3.Error:
        version: int = unpacker.unpack_uint()
        unpacker.done()
        return version
    return None
