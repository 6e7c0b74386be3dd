"""The tables: when they are created, and which are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.client.store.sqlite import SqliteStore
from cryptoproto.history import History
from tests.support.histories import Writer, balance, event
from tests.support.stores import ALICE


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%history%'")}


def test_without_history_there_are_no_tables(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    assert store.history is None
    assert not store.record([event(1, balance("USD", "1", "1"))])
    store.record_balances(1, {})
    store.close()
    assert tables(path) == set()


def test_an_old_store_gets_them_and_begins_at_its_position(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    store.advance(50)
    store.close()
    writer = Writer(path)
    assert "cryptoproto_history_group" in tables(path)
    assert writer.reader.beginning()[0] == 50
    assert writer.reader.recorded_through() == 50
    writer.store.record([event(50, balance("USD", "1", "1")), event(51, balance("USD", "2", "1"))])
    writer.store.flush()
    assert [entry.transaction_id for entry in writer.reader.entries()] == [51]
    writer.close()


def test_a_history_goes_on_whether_it_is_asked_for_or_not(path: Path) -> None:
    Writer(path).close()
    store = SqliteStore(path)
    store.open(*ALICE)
    assert store.record([event(1, balance("USD", "1", "1"))])
    history = store.history
    assert history is not None
    assert [record.reason for record in history.balances()] == ["opening", "trade"]
    store.close()


def drop_group(db: sqlite3.Connection) -> None:
    db.execute("DROP TABLE cryptoproto_history_group")  # and its index; views do not keep it


def newer(db: sqlite3.Connection) -> None:
    db.execute("UPDATE cryptoproto_history SET version = 2")


def older(db: sqlite3.Connection) -> None:
    db.execute("UPDATE cryptoproto_history SET version = 0")


def emptied(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM cryptoproto_history")


def without_version(db: sqlite3.Connection) -> None:
    db.execute("DROP TABLE cryptoproto_history")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_group, r"alice\.db is damaged: it has no table cryptoproto_history_group; restore a backup"),
        (newer, r"alice\.db has schema version 2, and this package reads version 1; use the version of the package"),
        (older, r"alice\.db has schema version 0, and this package reads version 1"),
        (emptied, r"alice\.db is damaged: its version is missing"),
        (without_version, r"alice\.db is damaged: its version is missing"),
    ],
)
def test_a_history_that_cannot_be_read_is_refused_and_left_alone(
    path: Path, change: Callable[[sqlite3.Connection], None], message: str
) -> None:
    Writer(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        change(db)
    left = tables(path)
    for store in (SqliteStore(path), SqliteStore(path, history=True)):
        with pytest.raises(cp.ConfigurationError, match=message):
            store.open(*ALICE)
    with pytest.raises(cp.ConfigurationError, match=message):
        History.open(path)
    assert tables(path) == left
