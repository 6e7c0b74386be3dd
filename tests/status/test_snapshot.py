"""The whole status, and what has changed."""

from __future__ import annotations

from cryptoproto.status.plain_rows import Row
from cryptoproto.status.snapshot import Snapshot, changes

ONE: Row = {"order_id": 1}
TWO: Row = {"order_id": 2}


def test_the_document_has_everything() -> None:
    snapshot = Snapshot(1.0, {1: ONE, 2: TWO}, {"state": "live"})
    assert snapshot.document() == {"at": 1.0, "state": "live", "open_orders": [ONE, TWO]}


def test_nothing_has_changed() -> None:
    assert changes(Snapshot(1.0, {1: ONE}, {"state": "live"}), Snapshot(2.0, {1: ONE}, {"state": "live"})) is None


def test_only_what_has_changed() -> None:
    before = Snapshot(1.0, {1: ONE, 2: TWO}, {"state": "live", "fills": []})
    three, two = {"order_id": 3}, dict(TWO)
    after = Snapshot(2.0, {2: two, 3: three}, {"state": "waiting", "fills": []})
    assert changes(before, after) == {"at": 2.0, "state": "waiting", "orders": {"set": [two, three], "gone": [1]}}


def test_a_section_that_is_new() -> None:
    assert changes(Snapshot(1.0, {}, {}), Snapshot(2.0, {}, {"fills": []})) == {"at": 2.0, "fills": []}
