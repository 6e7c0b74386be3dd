"""The market-data socket's frames, and the pieces of XDR."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.wire import market_frame, market_hello, read_market_frame, read_market_hello
from cryptoproto.wire.market import MARKET_DATA_VERSION
from cryptoproto.wire.xdr import padded
from tests.support.wire_oracle import packed


def test_hello() -> None:
    assert market_hello() == packed(("uint", MARKET_DATA_VERSION)) == b"\0\0\0\1"
    assert read_market_hello(market_hello(7)) == 7


@pytest.mark.parametrize("frame", [b"", b"\0\0\1", b"\0\0\0\1\0", b"\0\0\0\1\0\0\0\0"])
def test_hello_of_another_size(frame: bytes) -> None:
    with pytest.raises(cp.DecodeError, match=r"^malformed market-data hello$"):
        read_market_hello(frame)


@pytest.mark.parametrize("size", range(20))
def test_frame(size: int) -> None:
    payload = b"x" * size
    assert market_frame(payload) == packed(("enum", 4), ("opaque", payload))
    assert read_market_frame(market_frame(payload)) == payload
    assert padded(payload) == packed(("opaque", payload))[4:]


@pytest.mark.parametrize("kind", [-(2**31), -1, 0, 1, 2, 3, 5, 2**31 - 1])
def test_frame_of_another_type(kind: int) -> None:
    with pytest.raises(cp.UnsupportedMessageType, match=f"unknown type {kind} of a market-data frame"):
        read_market_frame(packed(("enum", kind), ("opaque", b"{}")))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (b"", "truncated"),
        (b"\0\0\0\4", "truncated"),
        (b"\0\0\0\4\0\0\0", "truncated"),
        (b"\0\0\0\4\0\0\0\1", "malformed"),
        (b"\0\0\0\4\0\0\0\1x", "malformed"),
        (b"\0\0\0\4\0\0\0\1x\0\0", "malformed"),
        (b"\0\0\0\4\0\0\0\1x\0\0\1", "malformed"),
        (b"\0\0\0\4\0\0\0\1x\0\0\0\0", "malformed"),
        (b"\0\0\0\4\0\0\0\0\0\0\0\0", "malformed"),
        (b"\0\0\0\4\xff\xff\xff\xff", "malformed"),
    ],
)
def test_malformed_frame(frame: bytes, words: str) -> None:
    with pytest.raises(cp.DecodeError, match=f"^{words} market-data frame$"):
        read_market_frame(frame)
