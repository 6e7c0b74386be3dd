"""Changes of the outbox: what the tables would say if they had them, and what is written to them."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptoproto.client.store.changes import Changes
from cryptoproto.client.store.outbox_log import Change, Put, ReportRead, Settled
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.stores import ALICE

Tables = tuple[list[int], list[tuple[int, bytes]]]
Archive = list[tuple[int, int, int, str]]


@pytest.fixture
def tables(path: Path) -> Iterator[sqlite3.Connection]:
    store = SqliteStore(path, history=True)
    store.open(*ALICE)
    store.close()
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


def stored(connection: sqlite3.Connection) -> Tables:
    return (
        [key for (key,) in connection.execute("SELECT key FROM cryptoproto_outbox ORDER BY key")],
        connection.execute("SELECT key, report FROM cryptoproto_late_report ORDER BY key").fetchall(),
    )


def archived(connection: sqlite3.Connection) -> Archive:
    return connection.execute("SELECT key, sent_us, settled_by, message FROM cryptoproto_history_order").fetchall()


def put(key: int, kind: str = "place") -> Put:
    return Put(key, kind, b'{"n":%d}' % key, key * 1_000_500, None, None)


def seen(changes: Changes, connection: sqlite3.Connection) -> Tables:
    """The outbox and the reports as the store shows them."""
    keys, reports = stored(connection)
    return [each.key for each in changes.outbox([put(key) for key in keys])], changes.reports(reports)


@pytest.mark.parametrize("has_history", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_same_whenever_it_is_written(seed: int, has_history: bool, tables: sqlite3.Connection) -> None:
    choice = random.Random(seed)
    changes = Changes(last_key=0, settled_through=-1)
    kinds: dict[int, str] = {}
    open_keys: list[int] = []
    reports: dict[int, bytes] = {}
    expected: Archive = []
    for number in range(1, 120):
        change = draw(choice, number, open_keys, reports)
        if isinstance(change, Put):
            kinds[change.key] = change.kind
        elif isinstance(change, Settled) and change.key is not None and kinds[change.key] == "place":
            key = change.key
            expected.append((key, key * 1_000_500 // 1000, change.settled_through, f'{{"n":{key}}}'))
        changes.add(change)
        assert seen(changes, tables) == (open_keys, sorted(reports.items()))
        if choice.random() < 0.2:
            tables.execute("BEGIN")
            changes.write(tables, has_history=has_history)
            tables.execute("COMMIT")
            changes.written()
            assert stored(tables) == (open_keys, sorted(reports.items()))
            assert archived(tables) == (sorted(expected) if has_history else [])
    assert changes.last_key == max(kinds)
    assert changes.settled_through > 0


def draw(choice: random.Random, number: int, open_keys: list[int], reports: dict[int, bytes]) -> Change:
    """A change, made in *open_keys* and *reports*, too."""
    what = choice.choice(("put", "put", "settle", "report", "read"))
    if what == "read" and reports:
        key = choice.choice(list(reports))
        del reports[key]
        return ReportRead(key)
    if what in ("settle", "report") and open_keys:
        key = choice.choice(open_keys)
        open_keys.remove(key)
        if what == "settle":
            return Settled(number, key)
        reports[number] = b"late"
        return Settled(number, key, number, b"late")
    open_keys.append(number)
    return put(number, choice.choice(("place", "cancel")))


def test_nothing_is_written_if_there_is_nothing(tables: sqlite3.Connection) -> None:
    before = tables.total_changes
    changes = Changes(last_key=4, settled_through=2)
    changes.add(put(5))
    changes.written()
    changes.write(tables, has_history=True)
    assert tables.total_changes == before


def test_what_was_settled_earlier_does_not_go_back() -> None:
    changes = Changes(last_key=9, settled_through=7)
    changes.add(Settled(5, 3))
    changes.add(put(4))
    assert (changes.settled_through, changes.last_key) == (7, 9)
