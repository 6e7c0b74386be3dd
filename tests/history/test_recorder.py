"""What is written, and that it is written once."""

from __future__ import annotations

import math
import sqlite3
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.history import recorder as recorder_module
from cryptoproto.history.reader import Entry
from cryptoproto.history.recorder import Recorder
from tests.support.histories import Writer, balance, event, trade


def numbers(writer: Writer) -> list[int]:
    writer.store.flush()
    return [entry.transaction_id for entry in writer.reader.entries()]


def test_events_are_written_once(writer: Writer) -> None:
    one, two, three = (event(number, balance("USD", "1", "1")) for number in (1, 2, 3))
    writer.store.record([one, two, one])
    writer.store.record([two])
    assert numbers(writer) == [1, 2]
    writer.store.record([one, two, three, event(None, cp.TradesEnabledOnPairs([]))])
    assert numbers(writer) == [1, 2, 3]
    writer.store.record([one])
    assert numbers(writer) == [1, 2, 3]


def test_what_is_not_of_the_history_is_left_out(writer: Writer) -> None:
    writer.commit(cp.OrderNotFound(7))
    assert numbers(writer) == []
    assert writer.reader.recorded_through() == 1
    writer.store.record([event(2, balance("USD", "1", "1")), cp.Event(3, 0.0, cp.Unknown("New", {}), 1, b"{}")])
    assert numbers(writer) == [2]


def test_many_events_become_rows_that_are_read_one_by_one(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_GROUP", 3)
    writer.commit(*(balance("USD", str(number), "1") for number in range(8)))
    assert [(group.first, group.last) for group in writer.reader.groups()] == [(1, 3), (4, 6), (7, 8)]


@pytest.mark.parametrize(
    ("timestamp", "time_us"),
    [(1.5, 1_500_000), (1.9999999, 2_000_000), (math.nan, 7_000_000), (-1.0, 7_000_000), (1e300, 7_000_000)],
)
def test_a_message_without_a_time_has_that_of_its_event(writer: Writer, timestamp: float, time_us: int) -> None:
    message = cp.InsufficientFunds(order_id=1, currency="USD")
    writer.store.record([event(1, message, timestamp=timestamp)])
    writer.store.flush()
    assert list(writer.reader.entries()) == [Entry(1, time_us, message)]


def test_text_that_is_not_utf8_in_a_field_that_nobody_knows(writer: Writer) -> None:
    raw = b'{"@type":"SetBalance","currency":"USD","balance":"1","change":"1","reason":"x","time":[1,0],"new":"\xff"}'
    writer.store.record([cp.Event(1, 1.0, balance("USD", "1", "1", "x", at=1), 1, raw)])
    assert numbers(writer) == [1]


def test_balances_of_one_moment_are_stated_once(writer: Writer) -> None:
    writer.state(USD=("1", "2"))
    writer.state(USD=("3", "4"))
    writer.store.flush()
    (stated,) = writer.reader.stated_balances()
    assert (stated.transaction_id, stated.currency, stated.available, stated.on_hold) == (0, "USD", "3", "4")


def test_what_was_not_committed_is_written_again(writer: Writer) -> None:
    recorder = Recorder(-1)
    recorder.record([event(1, trade(1, "1", "2"))])
    recorder.record_balances(1, {"USD": cp.Balance(Decimal(1), Decimal(0))}, 5)
    before = recorder.is_behind
    with writer.store.transaction() as db:
        recorder.write(db)
        db.execute("DELETE FROM cryptoproto_history_group")  # as an end of the transaction without a commit
        recorder.write(db)
    recorder.committed()
    assert (before, recorder.is_behind) == (True, False)
    assert numbers(writer) == [1]


def test_what_waits_for_the_disk_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_MAX_PENDING", 2)
    recorder = Recorder(-1)
    events = [event(number, balance("USD", "1", "1")) for number in (1, 2, 3)]
    recorder.record(events[:2])
    with pytest.raises(cp.StoreError, match=r"2 events wait to be recorded in the history.*free space"):
        recorder.record(events[2:])


def test_an_order_leaves_the_outbox_for_the_history(writer: Writer) -> None:
    order = cp.PlaceBuyLimitOrder("BTC_USD", "1", "2", 7)
    writer.send(order, 5, at=3)
    assert writer.store.outbox() == []
    writer.store.flush()
    assert [(sent.sent_us, sent.settled_by) for sent in writer.reader.settled_orders(4, 5)] == [(3_000_000, 5)]
    assert writer.reader.settled_orders(5, 9) == []
    late = cp.OutboxEntry(kind="place", payload=b'{"@type":"CancelAllOrders"}', created_ns=1)
    cancel = cp.OutboxEntry(kind="cancel_all", payload=b'{"@type":"CancelAllOrders"}', created_ns=1)
    writer.store.put_late_report(b"x", writer.store.put(late), 6)
    writer.store.remove(writer.store.put(cancel), 7)  # only orders are kept
    writer.store.flush()
    with pytest.raises(cp.StoreError, match=r"is damaged.*CancelAllOrders.* places no order"):
        writer.reader.settled_orders(5, 9)


def test_views_show_it_to_other_programs(writer: Writer) -> None:
    writer.commit(trade(7, "0.5", "100", at=3), balance("BTC", "1", "0.5", at=3))
    writer.commit(cp.OrderNotFound(1), balance("BTC", "2", "1", at=4))
    db = sqlite3.connect(writer.store.path)
    assert db.execute("SELECT * FROM cryptoproto_history_trades").fetchall() == [
        (1, 3_000_000, "BTC_USD", "0.5", "100", 1, 1, 7, None)
    ]
    assert db.execute("SELECT transaction_id, balance FROM cryptoproto_history_balances").fetchall() == [
        (2, "1"),
        (4, "2"),
    ]
    assert db.execute("SELECT count(*) FROM cryptoproto_history_order_events").fetchone() == (0,)
    db.close()
