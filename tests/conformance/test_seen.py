"""How what was received is shown."""

from __future__ import annotations

import pytest

from cryptoproto.conformance.seen import Seen, sketch


def test_a_frame_on_one_line() -> None:
    seen = Seen.of_payload("event", b'{"@type":"OrderNotFound","order_id":7}', transaction=5)
    assert str(seen) == "event OrderNotFound order_id=7 [transaction 5]"
    assert str(Seen("close", arguments=(4001, "expected sequence 2"))) == 'close 4001 "expected sequence 2"'


@pytest.mark.parametrize("payload", [b"", b"not JSON", b"[1]", b"{}", b'{"@type":7}', b"[" * 100_000])
def test_a_payload_that_is_no_message(payload: bytes) -> None:
    seen = Seen.of_payload("event", payload)
    assert seen.kind == "unreadable"
    assert "event with the payload" in seen.arguments[0]


def test_what_a_peer_sends_is_cut() -> None:
    assert len(sketch("x" * 1_000_000)) < 400
