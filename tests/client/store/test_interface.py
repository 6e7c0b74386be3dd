"""What every store keeps, in memory or in a file, and which store an argument selects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.client.store import open_store
from cryptoproto.client.store.interface import OutboxEntry, Store
from cryptoproto.client.store.memory import MemoryStore
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.stores import ALICE, entry


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(path)
    store.open(*ALICE)
    yield store
    store.close()


def reopened(store: Store) -> Store:
    """What the next process finds."""
    store.close()
    if isinstance(store, SqliteStore):
        store = SqliteStore(store.path)
    store.open(*ALICE)
    return store


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.position is None
    assert store.outbox() == []


def test_the_position_only_grows(store: Store) -> None:
    for transaction_id in (3, 7, 5, 7, 1):
        store.advance(transaction_id)
    assert store.position == 7
    store.flush()
    store = reopened(store)
    assert store.position == 7
    store.advance(6)
    with closing(reopened(store)) as again:
        assert again.position == 7


def test_closing_flushes(store: Store) -> None:
    store.advance(1)
    with closing(reopened(store)) as again:
        assert again.position == 1


def test_the_outbox_survives_with_its_keys(store: Store) -> None:
    full = OutboxEntry(
        kind="cancel",
        payload=b"\x00\xff",
        created_ns=2**62,
        client_order_id=2**63 - 1,
        sequence=4,
    )
    entries = [entry(1), full, entry(3)]
    keys = [store.put(each) for each in entries]
    assert keys == sorted(set(keys))
    assert [each.key for each in entries] == keys
    store.remove(keys[2], 40)
    store = reopened(store)
    first, second = store.outbox()
    assert first == entry(1, key=keys[0])
    assert second == full
    store.remove(keys[0], 30)
    store.remove(keys[1], 50)
    assert store.outbox() == []
    with closing(reopened(store)) as again:
        assert again.put(entry()) not in keys


def test_how_far_outcomes_are_settled_only_grows(store: Store) -> None:
    assert store.settled_through == -1
    for settled_through, highest in ((40, 40), (30, 40), (50, 50)):
        store.remove(store.put(entry()), settled_through)
        assert store.settled_through == highest
        store = reopened(store)
        assert store.settled_through == highest
    assert store.position is None
    store.close()


def test_what_is_gone_can_be_removed(store: Store) -> None:
    store.remove(5, 7)
    store.remove_late_report(5)
    assert store.outbox() == []
    assert store.late_reports() == []


def test_late_reports_wait_until_they_are_removed(store: Store) -> None:
    first, second = store.put(entry(1)), store.put(entry(2))
    numbers = [store.put_late_report(b"one", first, 30), store.put_late_report(b"two", None, -1)]
    assert store.outbox() == [entry(2, key=second)]
    assert store.settled_through == 30
    store = reopened(store)
    assert store.late_reports() == list(zip(numbers, [b"one", b"two"], strict=True))
    store.remove_late_report(numbers[0])
    store = reopened(store)
    assert store.late_reports() == [(numbers[1], b"two")]
    assert store.put_late_report(b"three", None, -1) not in numbers
    store.close()


def test_the_outbox_is_a_copy(store: Store) -> None:
    given = entry()
    key = store.put(given)
    given.sequence = 3
    store.outbox()[0].sequence = 4
    assert store.outbox() == [entry(key=key)]


@pytest.mark.parametrize("other", [("bob", "aa:bb"), ("alice", "cc:dd")])
def test_a_store_belongs_to_one_client_at_one_exchange(store: Store, other: tuple[str, str]) -> None:
    store.advance(5)
    store.close()
    with pytest.raises(
        cp.ConfigurationError, match=r"belongs to client 'alice' at the exchange with the key aa:bb, not"
    ):
        store.open(*other)
    store.open(*ALICE)
    assert store.position == 5


def test_one_client_at_a_time(store: Store) -> None:
    with pytest.raises(cp.ConfigurationError, match="in use"):
        store.open(*ALICE)


def test_closing_twice(store: Store) -> None:
    store.close()
    store.close()


def test_open_store(tmp_path: Path) -> None:
    assert isinstance(open_store(None), MemoryStore)
    for path in (tmp_path / "a.db", str(tmp_path / "a.db")):
        found = open_store(path)
        assert isinstance(found, SqliteStore)
        assert found.path == tmp_path / "a.db"
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is opened
    mine = MemoryStore()
    assert open_store(mine) is mine
    with pytest.raises(cp.ConfigurationError, match="must be a path"):
        open_store(7)  # type: ignore[arg-type]
