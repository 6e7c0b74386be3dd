"""The store in memory."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.client.store.memory import MemoryStore
from tests.support.stores import ALICE, entry


def test_another_client_of_the_process_continues_where_the_last_one_stopped() -> None:
    store = MemoryStore()
    store.open(*ALICE)
    store.watch(lambda: 3)
    store.advance(3)
    key = store.put(entry())
    store.flush()
    store.close()
    store.open(*ALICE)
    assert store.position == 3
    assert store.outbox() == [entry(key=key)]


def test_it_can_be_used_by_one_client_at_a_time() -> None:
    store = MemoryStore()
    store.open(*ALICE)
    with pytest.raises(cp.ConfigurationError, match="in use by another client; give each client its own store"):
        store.open(*ALICE)
    store.close()
    with pytest.raises(cp.ConfigurationError, match="belongs to client 'alice' at the exchange with the key aa:bb"):
        store.open("bob", "aa:bb")


def test_an_outcome_leaves_the_outbox_and_its_report_waits_until_it_is_read() -> None:
    store = MemoryStore()
    store.open(*ALICE)
    reported, settled = store.put(entry()), store.put(entry())
    assert store.settled_through == -1
    first = store.put_late_report(b"one", reported, 7)
    second = store.put_late_report(b"two", None, 9)
    assert [one.key for one in store.outbox()] == [settled]
    assert store.late_reports() == [(first, b"one"), (second, b"two")]
    store.remove(settled, 5)
    store.remove(settled, 5)  # its event came again
    store.remove_late_report(first)
    assert (store.outbox(), store.late_reports()) == ([], [(second, b"two")])
    assert store.settled_through == 7, "a report without an entry settles nothing, and it never decreases"
