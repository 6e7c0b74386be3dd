"""Records as plain values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from cryptoproto.history import BalanceRecord
from tests.support.histories import Writer, placed


def test_a_balance() -> None:
    record = BalanceRecord(
        transaction_id=1,
        time=datetime(2026, 5, 1, tzinfo=UTC),
        currency="BTC",
        available=Decimal("1E-8"),
        on_hold=Decimal(2),
        change=Decimal(0),
        reason="trade",
    )
    assert record.total == Decimal("2.00000001")
    assert record.as_dict() == {
        "transaction_id": 1,
        "time": "2026-05-01T00:00:00.000000+00:00",
        "currency": "BTC",
        "available": "0.00000001",
        "on_hold": "2",
        "change": "0",
        "reason": "trade",
    }


def test_an_order_has_its_changes_in_it(writer: Writer) -> None:
    writer.commit(placed(1, "1", "100"))
    history = writer.store.history
    assert history is not None
    (order,) = history.orders()
    found = json.loads(json.dumps(order.as_dict()))
    assert [change["what"] for change in found["changes"]] == ["placed"]
    assert found["average_price"] is None
