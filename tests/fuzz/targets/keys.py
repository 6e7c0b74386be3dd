"""RSA keys in PEM and DER."""

from __future__ import annotations

from collections.abc import Iterator

import cryptoproto as cp
from tests.fuzz.target import Cost, Target
from tests.support.apikeys.samples import SEED_PUBLIC_KEY
from tests.support.wire_oracle import private_key, public_key

__all__ = ["TARGETS"]


def read(data: bytes) -> cp.PublicKey:
    """A public key, as PEM or as base64 of DER."""
    if data.startswith(b"-----"):
        return cp.PublicKey.from_pem(data)
    return cp.PublicKey.from_der(data.decode("latin-1"), minimum_bits=1024)


def seeds() -> Iterator[bytes]:
    yield public_key("client").to_pem()
    yield SEED_PUBLIC_KEY.encode()
    yield private_key("client").to_pem()


def check(data: bytes, key: cp.PublicKey) -> None:
    assert cp.PublicKey.from_der(key.to_der(), minimum_bits=1024) == key
    assert not key.verify(b"x" * (key.bits // 8), b"data")


TARGETS = (
    Target(
        "public-keys",
        read,
        (cp.ConfigurationError,),
        seeds,
        check,
        words=(
            b"-----BEGIN PUBLIC KEY-----\n",
            b"-----END PUBLIC KEY-----\n",
            b"=",
            b"AAAA",
            b"-----BEGIN RSA PUBLIC KEY",
        ),
        longest=4096,
        cost=Cost(calls=2000, calls_per_byte=10, memory=300_000, memory_per_byte=100),
        in_suite=300,
    ),
)
