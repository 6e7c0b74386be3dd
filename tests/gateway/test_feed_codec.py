"""Market data as NATS messages."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.gateway.feed_codec import FeedBeat, Numbered, decode_beat, decode_update, encode_update


@pytest.mark.parametrize(
    "update",
    [
        Numbered(3, 7, True, "BTC_USD", b"frame"),
        Numbered(2**63, 1, False, "", b"frame"),
        Numbered(1, 0, False, "BTC_USD", b""),
    ],
    ids=["book", "no pair", "nothing"],
)
def test_an_update_comes_back_as_it_was(update: Numbered) -> None:
    assert decode_update(encode_update(update)) == update


@pytest.mark.parametrize("data", [b"", b"x" * 17, bytes(17) + b"\x01\xff"], ids=["empty", "short", "no text"])
def test_what_is_no_update_is_refused(data: bytes) -> None:
    with pytest.raises(cp.DecodeError, match="market data"):
        decode_update(data)


def test_a_beat() -> None:
    beat = decode_beat(b'{"fence":3,"is_live":true,"numbers":{"BTC_USD":7},"books":["BTC_USD"],"later":1}')
    assert beat == FeedBeat(3, True, {"BTC_USD": 7}, ["BTC_USD"])
    for data in (b"", b"[]", b'{"fence":"x"}', b"\xff", b'{"later":' + b"[" * 10_000):
        with pytest.raises(cp.DecodeError, match="not the beat"):
            decode_beat(data)
