from __future__ import annotations

import msgspec
import pytest

from cryptoproto.exceptions import DecodeError
from cryptoproto.gateway.calls import (
    Ask,
    Call,
    CallCancel,
    CallPlace,
    Hello,
    OutcomeOf,
    Reply,
    TakeSnapshot,
    decode_call,
    encode,
)


@pytest.mark.parametrize(
    "call",
    [
        Hello(),
        CallPlace("a", 1, 2.0, msgspec.Raw(b'{"a":1}'), wait=True, given_at=1.0),
        CallCancel("a", 1, 2.0, 3, wait=False),
        OutcomeOf("a", 1, 1, 0.5),
        Ask(1, 2.0, msgspec.Raw(b"{}")),
        TakeSnapshot(1),
    ],
)
def test_a_call_survives(call: Call) -> None:
    assert decode_call(encode(call)) == call


_NESTED = b'{"type":"hello","later":' + b"[" * 10_000


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"null", b'{"type":"place"}', b'{"type":"hallo"}', _NESTED])
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError, match="not a call"):
        decode_call(data)


def test_a_reply_has_a_result_or_not() -> None:
    assert not Reply(1, 2.0).has_result
    assert Reply(1, 2.0, result=msgspec.Raw(b"1")).has_result
