"""Licensing: requests and tokens in FlatBuffers, sealed boxes, the cached token, and refusals."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nacl.exceptions import CryptoError
from nacl.public import Box, PrivateKey, PublicKey

from cryptoproto.exceptions import ConfigurationError, LicenseRefused, MalformedMessage, SealBroken, TokenCacheError
from cryptoproto.licensing import (
    KeyPair,
    Keyring,
    LicenseRequest,
    LicenseToken,
    TokenBinding,
    config_hash,
    read_logins,
)
from cryptoproto.licensing.agent.token_cache import TokenCache
from cryptoproto.licensing.request.refusal import refusal_error
from cryptoproto.licensing.sealing.key_text import decode_key, encode_key
from cryptoproto.licensing.sealing.sealing import Channel, sign_token, split_request
from tests.fuzz.scratch import written
from tests.fuzz.target import BIG_NUMBERS, Cost, Target
from tests.support.licensing.samples import HASH, full_request, token_for
from tests.support.licensing.simulated_time import START_NS

__all__ = ["TARGETS"]

WORDS = (
    b"\4\0\0\0",
    b"\xff\xff\xff\xff",
    b"\xfc\xff\xff\xff",
    b"\0\0\0\x80",
    bytes(8),
    b"CPLR",
    b"CPLT",
    b"\xe2\x80\xae",
)
COST = Cost(calls=6_000, calls_per_byte=20, memory=100_000, memory_per_byte=100)


class _Gateway(KeyPair):
    """The keys of a gateway. It computes only once what it shares with a manager: that takes longer than an input."""

    def shared_key(self, other: bytes) -> bytes:
        return _shared(self, other)


@cache
def _shared(gateway: _Gateway, other: bytes) -> bytes:
    return super(_Gateway, gateway).shared_key(other)


class Keys(NamedTuple):
    """A gateway, a manager, and the cache of the gateway."""

    gateway: KeyPair
    keyring: Keyring
    cache: TokenCache


@cache
def keys() -> Keys:
    gateway, keyring = _Gateway.generate(), Keyring.generate(START_NS)
    binding = TokenBinding(gateway.public_key, "roq-deribit", HASH)
    public = [each.public for each in keyring.active(START_NS)]
    return Keys(gateway, keyring, TokenCache("/nowhere", binding, gateway, public))


def check_request(message: bytes, request: LicenseRequest) -> None:
    """Written again, it says the same; bytes that nobody reads may differ."""
    again = request.encode()
    assert dict(LicenseRequest.decode(again).fields) == dict(request.fields)
    assert json.loads(request.to_json()).keys() == dict(request.fields).keys()


def check_token(message: bytes, token: LicenseToken) -> None:
    assert LicenseToken.decode(token.encode()) == token
    assert token.issued_at < token.expires_at or token.life_ns < 1000


# The cached token: the first byte says which part of it the rest is.

_RAW, _SEALED, _SIGNED = range(3)
_DOMAIN = b"cryptoproto/license-token/1\0"
_SOURCE = Path("a.token")


@cache
def channel() -> Channel:
    generation = keys().keyring.active(START_NS)[0]
    return Channel(generation.box_keys, keys().gateway.public_key)


def box_of(data: bytes) -> bytes:
    what, rest = (data[0] % 3 if data else 0), data[1:]
    if what == _RAW:
        return rest
    if what == _SEALED:
        return channel().seal(rest)
    return channel().seal(signed(rest))


def signed(token: bytes) -> bytes:
    """A SignedToken, byte by byte: the builder of FlatBuffers takes longer than an input.

    After the root offset and the identifier come the vtable, the table, the signature, and the token.
    """
    signature = keys().keyring.active(START_NS)[0].signing_key.sign(_DOMAIN + token).signature
    head = struct.pack("<I4sHHHHiII", 16, b"CPLS", 8, 12, 4, 8, 8, 76, 4)
    return head + struct.pack("<I", len(signature)) + signature + struct.pack("<I", len(token)) + token


def read_cached(data: bytes) -> LicenseToken:
    return keys().cache.open(box_of(data), _SOURCE)


def check_cached(data: bytes, token: LicenseToken) -> None:
    """Nobody without the keys can make a token: what was not signed here is the one that was."""
    genuine = LicenseToken.decode(data[1:]) if data[0] % 3 == _SIGNED else granted()
    assert token == genuine


@cache
def granted() -> LicenseToken:
    return token_for(keys().gateway)


def cached_seeds() -> Iterator[bytes]:
    token = granted().encode()
    by_builder = sign_token(token, keys().keyring.active(START_NS)[0].signing_key)
    yield from (b"\2" + token, b"\1" + by_builder, b"\0" + channel().seal(by_builder))


# Sealed requests: libsodium's own interface must agree


@cache
def boxes() -> tuple[Channel, Box]:
    """Our channel, and PyNaCl's between the same keys."""
    ours, theirs = PrivateKey(bytes(range(32))), PrivateKey(bytes(range(1, 33)))
    return Channel(KeyPair(ours), encode_key(bytes(theirs.public_key))), Box(ours, theirs.public_key)


def read_sealed(body: bytes) -> bytes:
    _, box = split_request(body)
    return boxes()[0].open(box)


def check_sealed(body: bytes, message: bytes) -> None:
    sender, box = split_request(body)
    assert bytes(PublicKey(decode_key(sender, "public key"))) == body[:32]
    assert boxes()[1].decrypt(box) == message


def check_not_sealed(body: bytes) -> None:
    if len(body) >= 32 + 40:
        try:
            boxes()[1].decrypt(body[32:])
        except CryptoError:
            return
        raise AssertionError("PyNaCl opens the box")


def check_refusal(body: bytes, error: LicenseRefused) -> None:
    assert isinstance(error, LicenseRefused)
    assert len(error.reason) <= 64
    assert str(error).isprintable()
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= 86_400


def read_accounts(data: bytes) -> tuple[str, ...]:
    return read_logins(written("gateway.toml", data))


def check_accounts(data: bytes, logins: tuple[str, ...]) -> None:
    assert sorted(set(logins), key=str.encode) == list(logins)
    config_hash("package", logins)


TARGETS = (
    Target(
        "license-requests",
        LicenseRequest.decode,
        (MalformedMessage,),
        lambda: (LicenseRequest(full_request()).encode(),),
        check_request,
        words=WORDS,
        longest=4096,
        cost=COST,
        in_suite=600,
    ),
    Target(
        "license-tokens",
        LicenseToken.decode,
        (MalformedMessage,),
        lambda: (token_for(keys().gateway).encode(),),
        check_token,
        words=WORDS,
        cost=COST,
    ),
    Target(
        "token-cache",
        read_cached,
        (TokenCacheError,),
        cached_seeds,
        check_cached,
        words=WORDS,
        cost=COST,
        in_suite=500,
    ),
    Target(
        "sealed-requests",
        read_sealed,
        (SealBroken,),
        lambda: (bytes(32) + bytes(boxes()[1].encrypt(b"message", bytes(24))),),
        check_sealed,
        check_not_sealed,
        longest=512,
        cost=COST,
        in_suite=500,
    ),
    Target(
        "license-logins",
        read_accounts,
        (ConfigurationError,),
        lambda: (b'[accounts.a]\nlogin = "A1"\nsecret = "s"\n[accounts.b]\nlogin = \'A2\'\n', b"[x]\ny = 1\n"),
        check_accounts,
        words=(b"[accounts.", b"login = ", b'"""', b"= 1979-05-27", b"{ login = 'x' }", b"\\u0000"),
        longest=BIG_NUMBERS,
        # A file object makes room for the most that it may read, 16 MiB.
        cost=Cost(calls=10_000, calls_per_byte=100, memory=17_000_000, memory_per_byte=800),
        in_suite=200,
    ),
    Target(
        "license-refusals",
        lambda body: refusal_error(403, body),
        (),
        lambda: (b'{"reason": "stale", "message": "the clock is wrong", "retry_after_s": 1.5}',),
        check_refusal,
        words=(b'"reason":', b'"retry_after_s":1e400', b"NaN", b"-1", b'"\\ud800"', b'"\\u0660"'),
        longest=BIG_NUMBERS,
        in_suite=400,
    ),
)
