from __future__ import annotations

from collections.abc import Callable

import pytest

import cryptoproto as cp
from cryptoproto.exceptions import DecodeError
from cryptoproto.gateway.event_codec import decode_events, encode_events, first_of, last_of, previous_of
from cryptoproto.messages import decode
from tests.support.peer import placed


def events(*ids: int) -> list[cp.Event]:
    return [cp.Event(number, number / 2, decode(placed(number)), 1, placed(number)) for number in ids]


@pytest.mark.parametrize("ids", [(5,), (5, 7, 20)], ids=["one", "several"])
def test_events_survive(ids: tuple[int, ...]) -> None:
    data = encode_events(events(*ids), 3)
    assert decode_events(data, 1) == events(*ids)
    assert (first_of(data), last_of(data), previous_of(data)) == (5, ids[-1], 3)


def test_only_what_comes_after_a_transaction() -> None:
    data = encode_events(events(5, 7, 20), 3)
    assert decode_events(data, 1, after=5) == events(7, 20)
    assert decode_events(data, 1, after=20) == []


DATA = encode_events(events(5, 7), 3)


@pytest.mark.parametrize("data", [b"", b"x" * 36, DATA[:-1], DATA + b"x"], ids=["nothing", "heads", "cut", "more"])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="no gateway has written"):
        decode_events(data, 1)


@pytest.mark.parametrize("read", [first_of, last_of, previous_of])
def test_the_head_of_anything_else_is_refused(read: Callable[[bytes], int]) -> None:
    with pytest.raises(DecodeError, match="no gateway has written"):
        read(b"x" * 16)
