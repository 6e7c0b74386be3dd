"""Frames that are wrong on purpose."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.conformance.damage import damaged_frame, damaged_signature, sealed, with_fill
from cryptoproto.wire import Opener, Sealer

KEY = bytes(range(32))
BODY = b"sixteen bytes..!" + b"four"


def open_sealed(settings: dict[str, int]) -> bytes:
    return Opener(KEY).open(sealed(BODY, Sealer(KEY, lambda count: b"x" * count), settings))


def test_a_body() -> None:
    assert open_sealed({}) == BODY
    assert open_sealed({"body first": 5}) == BODY[:5]
    assert open_sealed({"body extra": 4}) == BODY + bytes(4)
    assert open_sealed({"wrong fill": 0}) == BODY[:-1] + b"\x01"
    with pytest.raises(cp.DecodeError):
        open_sealed({"wrong padding": 0})


def test_a_frame() -> None:
    assert damaged_frame(b"abcd", {}) == b"abcd"
    assert damaged_frame(b"abcd", {"first": 2}) == b"ab"
    assert damaged_frame(b"abcd", {"extra": 2}) == b"abcd\x00\x00"
    assert damaged_frame(b"abcd", {"flip byte": -1}) == b"abc$"
    with pytest.raises(cp.ConfigurationError, match="the frame has 4 bytes"):
        damaged_frame(b"abcd", {"flip byte": 4})


def test_a_signature() -> None:
    assert damaged_signature(b"abcd", {}) == b"abcd"
    assert damaged_signature(b"abcd", {"wrong signature": 0}) == b"ab#d"
    assert damaged_signature(b"abcd", {"no signature": 0}) == b""


@pytest.mark.parametrize("size", range(8))
def test_a_payload_that_needs_fill(size: int) -> None:
    payload = b"x" * size
    assert len(with_fill(payload, {"wrong fill": 0})) % 4 == 3
    assert with_fill(payload, {}) == payload
