"""The store in a file: writing, failing, checkpoints, and transactions with the user's tables."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.client.store import sqlite as sqlite_store
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.stores import ALICE, entry, stored_position


def test_options_are_checked(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="MemoryStore"):
        SqliteStore(":memory:")
    with pytest.raises(cp.ConfigurationError, match="commit_every"):
        SqliteStore(path, commit_every=0)
    with pytest.raises(cp.ConfigurationError, match="synchronous"):
        SqliteStore(path, synchronous="OFF")  # type: ignore[arg-type]


def test_it_must_be_open(path: Path) -> None:
    store = SqliteStore(path)
    for use in (store.outbox, lambda: store.put(entry()), lambda: store.transaction().__enter__()):
        with pytest.raises(cp.ConfigurationError, match="not open"):
            use()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_cannot_use_it(sqlite: SqliteStore) -> None:
    child = os.fork()
    if child == 0:
        try:
            sqlite.put(entry())
        except cp.ConfigurationError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert sqlite.outbox() == []


def test_a_write_that_fails_says_so_and_can_be_repeated(sqlite: SqliteStore) -> None:
    sqlite.advance(4)
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # another program, against all advice
    with pytest.raises(cp.StoreError, match="cannot write"):
        sqlite.flush()
    with pytest.raises(OSError, match="cannot write"):
        sqlite.put(entry())
    with pytest.raises(cp.StoreError, match="cannot write"), sqlite.transaction():
        pass
    other.execute("ROLLBACK")
    sqlite.flush()
    assert other.execute("SELECT position FROM cryptoproto_store").fetchone() == (4,)
    other.close()


def test_a_position_is_written_when_it_is_flushed(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    store.advance(7)
    assert (store.position, stored_position(store)) == (7, None)
    store.flush()
    assert stored_position(store) == 7
    before = store._commits
    store.flush()  # nothing new
    assert store._commits == before
    store.close()


def test_checkpoints_are_made_beside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_CHECKPOINT_COMMITS", 50)
    store = SqliteStore(path)
    store.open(*ALICE)
    threads = set()
    real = sqlite_store._checkpoint

    def noticed(path: Path) -> None:
        threads.add(threading.current_thread().name)
        real(path)

    monkeypatch.setattr(sqlite_store, "_checkpoint", noticed)
    for number in range(600):
        store.remove(store.put(entry(number)), number)
        checkpointer = store._checkpointer
        if checkpointer is not None and checkpointer.is_alive():
            checkpointer.join()  # a pause between commits, as there are most of the time
    assert threads == {"cryptoproto-checkpoint"}
    assert path.with_name("alice.db-wal").stat().st_size < 50 * 8 * 4096  # the log was begun anew, again and again
    store.close()
    assert {file.name for file in path.parent.iterdir()} == {"alice.db", "alice.db-lock"}


@pytest.fixture
def mine(sqlite: SqliteStore) -> SqliteStore:
    with sqlite.transaction() as db:
        db.execute("CREATE TABLE fills (transaction_id INTEGER PRIMARY KEY)")
    assert sqlite.position is None
    return sqlite


def fills(store: SqliteStore) -> list[int]:
    connection = sqlite3.connect(store.path)
    found = [number for (number,) in connection.execute("SELECT transaction_id FROM fills ORDER BY 1")]
    connection.close()
    return found


def insert(store: SqliteStore, transaction_id: int) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO fills VALUES (?)", (transaction_id,))


def test_a_transaction_commits_the_position_too(mine: SqliteStore) -> None:
    mine.advance(8)  # of a group that is not full
    mine.watch(lambda: 9)
    insert(mine, 9)
    assert (stored_position(mine), mine.position, fills(mine)) == (9, 9, [9])
    mine.advance(9)
    assert mine.position == 9


def test_an_exception_undoes_both(mine: SqliteStore) -> None:
    mine.watch(lambda: 8)
    insert(mine, 8)
    mine.watch(lambda: 9)
    with suppress(KeyError), mine.transaction() as db:
        db.execute("INSERT INTO fills VALUES (9)")
        raise KeyError
    assert (stored_position(mine), mine.position, fills(mine)) == (8, 8, [8])
    with pytest.raises(sqlite3.IntegrityError):
        insert(mine, 8)
    assert (stored_position(mine), mine.position, fills(mine)) == (8, 8, [8])


def test_after_a_failure_the_position_stays(mine: SqliteStore) -> None:
    mine.watch(lambda: 9)
    mine.watch(lambda: None)  # the user's code has failed
    insert(mine, 1)
    assert (stored_position(mine), mine.position) == (None, None)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_the_end_of_a_transaction_is_the_end_of_its_block(mine: SqliteStore, end: str) -> None:
    mine.watch(lambda: 9)
    with pytest.raises(cp.ConfigurationError, match="was ended inside"), mine.transaction() as db:
        db.execute(end)
    assert (stored_position(mine), mine.position) == (None, None)
    insert(mine, 9)
    assert stored_position(mine) == 9


def test_one_transaction_at_a_time(mine: SqliteStore) -> None:
    with mine.transaction(), pytest.raises(cp.ConfigurationError, match="one at a time"), mine.transaction():
        pass


def test_the_outbox_while_a_transaction_is_open(mine: SqliteStore) -> None:
    """Nothing of the outbox can be undone with it."""
    first, second = mine.put(entry(1)), mine.put(entry(2))
    mine.watch(lambda: 9)
    with suppress(KeyError), mine.transaction():
        mine.remove(second, 8)
        mine.advance(300)
        mine.flush()
        with pytest.raises(cp.ConfigurationError, match="cannot be sent while"):
            mine.put(entry(3))
        raise KeyError
    assert mine.outbox() == [entry(1, key=first)]
    assert mine.settled_through == 8
    assert (stored_position(mine), mine.position) == (None, 300)
    mine.flush()
    assert stored_position(mine) == 300


def test_what_a_transaction_delayed_is_done_even_if_it_fails_at_first(mine: SqliteStore) -> None:
    keys = [mine.put(entry(number)) for number in range(3)]
    report = mine.put_late_report(b"old", None, -1)
    other = sqlite3.connect(mine.path, isolation_level=None)

    def delayed() -> None:
        with mine.transaction() as db:
            mine.remove(keys[0], 8)
            assert mine.put_late_report(b"new", keys[1], 9) == report + 1
            mine.remove_late_report(report)
            db.execute("COMMIT")
            other.execute("BEGIN IMMEDIATE")

    with pytest.raises(cp.StoreError, match=r"cannot write to .*alice\.db: database is locked"):
        delayed()
    assert len(mine.outbox()) == 3
    other.execute("ROLLBACK")
    other.close()
    mine.flush()
    assert mine.outbox() == [entry(2, key=keys[2])]
    assert mine.late_reports() == [(report + 1, b"new")]
    assert mine.settled_through == 9


# Errors of SQLite


def uses(store: SqliteStore) -> dict[str, Callable[[], object]]:
    """Every call that reads or writes the file."""
    return {
        "outbox": store.outbox,
        "late_reports": store.late_reports,
        "put": lambda: store.put(entry()),
        "remove": lambda: store.remove(1, 1),
        "put_late_report": lambda: store.put_late_report(b"", None, 1),
        "remove_late_report": lambda: store.remove_late_report(1),
        "flush": store.flush,
        "transaction": lambda: store.transaction().__enter__(),
    }


@pytest.mark.parametrize("name", uses(SqliteStore("unused.db")))
def test_no_call_raises_an_error_of_sqlite(sqlite: SqliteStore, name: str) -> None:
    sqlite.advance(3)
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    if name in ("outbox", "late_reports"):
        for table in ("cryptoproto_outbox", "cryptoproto_late_report"):
            other.execute(f"ALTER TABLE {table} RENAME TO other_{table}")
    else:
        other.execute("BEGIN IMMEDIATE")
    with pytest.raises(cp.StoreError, match=r"cannot (read|write to) .*alice\.db: (no such table|database is locked)"):
        uses(sqlite)[name]()
    if other.in_transaction:
        other.execute("ROLLBACK")
    other.close()


def test_a_write_of_several_rows_is_undone_if_one_of_them_fails(sqlite: SqliteStore) -> None:
    key = sqlite.put(entry())
    with sqlite.transaction() as db:
        db.execute("CREATE TRIGGER no BEFORE UPDATE ON cryptoproto_store BEGIN SELECT raise(ABORT, 'by design'); END")
        db.execute("DROP TRIGGER no")
        db.execute("CREATE TRIGGER no BEFORE DELETE ON cryptoproto_outbox BEGIN SELECT raise(ABORT, 'by design'); END")
    for remove in (lambda: sqlite.remove(key, 5), lambda: sqlite.put_late_report(b"late", key, 5)):
        with pytest.raises(cp.StoreError, match="by design"):
            remove()
    assert sqlite.outbox() == [entry(key=key)]
    assert sqlite.late_reports() == []
    assert sqlite.settled_through == -1


def test_a_position_that_cannot_be_stored_with_a_transaction_undoes_it(mine: SqliteStore) -> None:
    mine.watch(lambda: 9)
    trigger = "CREATE TRIGGER no BEFORE UPDATE ON cryptoproto_store BEGIN SELECT raise({}, 'by design'); END"
    for rolled_back_by in ("ABORT", "ROLLBACK"):  # by the store, or by SQLite
        with pytest.raises(cp.StoreError, match="by design"), mine.transaction() as db:
            db.execute(trigger.format(rolled_back_by))
    assert (stored_position(mine), mine.position, fills(mine)) == (None, None, [])


def test_closing_in_another_thread(sqlite: SqliteStore) -> None:
    with ThreadPoolExecutor(1) as executor:
        closing = executor.submit(sqlite.close)
    with pytest.raises(cp.StoreError, match=r"cannot close .*alice\.db: .* same thread"):
        closing.result()
    sqlite.put(entry())
    assert repr(sqlite) == f"<SqliteStore {sqlite.path}, open at None>"
    sqlite.close()
    assert repr(sqlite) == f"<SqliteStore {sqlite.path}, closed at None>"


def test_opening_twice(sqlite: SqliteStore) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"alice\.db is in use by another client"):
        sqlite.open(*ALICE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_closing_in_a_forked_child_leaves_the_parent_its_store(sqlite: SqliteStore) -> None:
    sqlite.advance(5)
    child = os.fork()
    if child == 0:
        sqlite.close()
        os._exit(0 if stored_position(sqlite) is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with pytest.raises(cp.ConfigurationError, match="in use"):
        SqliteStore(sqlite.path).open(*ALICE)
    sqlite.flush()
    assert stored_position(sqlite) == 5


def test_what_the_child_of_a_fork_sees(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite.advance(5)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    for name, use in uses(sqlite).items():
        with pytest.raises(cp.ConfigurationError, match=r"alice\.db was opened before a fork"):
            use()
        assert stored_position(sqlite) is None, name
    sqlite.close()
    assert stored_position(sqlite) is None
