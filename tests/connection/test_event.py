"""An event: its payload and its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.connection.event import last_transaction_id


def event(timestamp: float | None, raw: bytes = b'{"@type":"Note","colour":"red"}') -> cp.Event:
    return cp.Event(1, timestamp, cp.Unknown("Note", {}), 5, raw)


def test_the_payload_has_all_fields() -> None:
    assert event(0.0).payload == {"@type": "Note", "colour": "red"}
    with pytest.raises(cp.DecodeError):
        _ = event(0.0, b"[]").payload


@pytest.mark.parametrize("timestamp", [0.0, -1.5, 1.7e9 + 0.25, 253_402_300_799.0])
def test_the_time_is_in_utc(timestamp: float) -> None:
    at = event(timestamp).at
    assert at == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=timestamp)
    assert at.tzinfo is UTC


def test_a_broadcast_has_no_time() -> None:
    assert event(None).at is None


def test_the_last_transaction_of_a_read() -> None:
    transactions = [cp.Event(number, 1.0, cp.Unknown("Note", {}), 5, b"{}") for number in (7, 8)]
    broadcast = cp.Event(None, None, cp.Unknown("News", {}), 5, b"{}")
    assert last_transaction_id(transactions, 3) == 8
    assert last_transaction_id([*transactions, broadcast, broadcast], 3) == 8
    assert last_transaction_id([broadcast], 3) == 3
    assert last_transaction_id([], None) is None


def test_an_event_does_not_change() -> None:
    with pytest.raises(AttributeError):
        event(0.0).timestamp = 1.0  # type: ignore[misc]
    assert not msgspec.structs.asdict(event(None))["timestamp"]


def test_as_a_dict() -> None:
    message = cp.CancelOrder(7)
    assert cp.Event(1, 0.5, message, 5, b"{}").as_dict() == {
        "transaction_id": 1,
        "timestamp": 0.5,
        "received_ns": 5,
        "message": {"@type": "CancelOrder", "order_id": 7},
    }
    assert event(None).as_dict()["message"] == {}
