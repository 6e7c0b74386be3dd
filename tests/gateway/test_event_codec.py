from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.exceptions import DecodeError
from cryptoproto.gateway.event_codec import decode_event, encode_event, previous_of, transaction_of
from cryptoproto.messages import decode
from tests.support.peer import placed


def test_an_event_survives() -> None:
    raw = placed(7)
    event = cp.Event(5, 1.5, decode(raw), 1, raw)
    data = encode_event(event, 3)
    assert decode_event(data, 1) == event
    assert transaction_of(data) == 5
    assert previous_of(data) == 3


@pytest.mark.parametrize("data", [b"", b"x" * 24])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="no gateway has written"):
        decode_event(data, 1)
