"""The store in a file: writing, failing, checkpoints, and transactions with the user's tables."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.store import OutboxEntry
from cryptoproto.client.store import sqlite as sqlite_module
from cryptoproto.client.store.changes import Changes
from cryptoproto.client.store.outbox_log import OutboxLog, Put
from cryptoproto.client.store.sqlite import SqliteStore
from cryptoproto.history.reader import Reader
from tests.support.histories import balance, event
from tests.support.stores import ALICE, entry, stored_position


def test_options_are_checked(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="MemoryStore"):
        SqliteStore(":memory:")
    with pytest.raises(cp.ConfigurationError, match="commit_every"):
        SqliteStore(path, commit_every=0)
    unsafe: Any = "OFF"
    with pytest.raises(cp.ConfigurationError, match="synchronous"):
        SqliteStore(path, synchronous=unsafe)


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
    with pytest.raises(OSError, match="cannot write"), sqlite.transaction():
        pass
    key = sqlite.put(entry())  # the log is not locked
    assert sqlite.outbox() == [entry(key=key)]
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
    with store.transaction() as db:
        before = db.total_changes
    store.flush()  # nothing new
    with store.transaction() as db:
        assert db.total_changes == before + 1  # that of the first transaction
    store.close()


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


def test_what_is_done_in_a_transaction_that_fails_is_done_all_the_same(mine: SqliteStore) -> None:
    keys = [mine.put(entry(number)) for number in range(3)]
    report = mine.put_late_report(b"old", None, -1)
    other = sqlite3.connect(mine.path, isolation_level=None)

    def fail() -> None:
        with mine.transaction() as db:
            mine.remove(keys[0], 8)
            assert mine.put_late_report(b"new", keys[1], 9) == report + 1
            mine.remove_late_report(report)
            db.execute("COMMIT")
            other.execute("BEGIN IMMEDIATE")

    with pytest.raises(cp.ConfigurationError, match="was ended inside"):
        fail()
    with pytest.raises(cp.StoreError, match=r"cannot write to .*alice\.db: database is locked"):
        mine.flush()
    for _ in range(2):  # before the tables have it, and afterwards
        assert mine.outbox() == [entry(2, key=keys[2])]
        assert mine.late_reports() == [(report + 1, b"new")]
        assert mine.settled_through == 9
        if other.in_transaction:
            other.execute("ROLLBACK")
        mine.flush()
    other.close()


def test_the_tables_take_over_the_log_before_it_becomes_long(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "_LOG_LENGTH", 10)
    keys = [sqlite.put(entry(number)) for number in range(25)]
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    assert other.execute("SELECT count(*) FROM cryptoproto_outbox").fetchone() == (20,)
    for _ in range(5):
        sqlite.put(entry())
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(cp.StoreError, match="database is locked"):
        sqlite.remove(keys[0], 7)
    assert (len(sqlite.outbox()), sqlite.settled_through) == (30, -1)
    other.execute("ROLLBACK")
    other.close()
    sqlite.remove(keys[0], 7)
    assert (len(sqlite.outbox()), sqlite.settled_through) == (29, 7)


def test_a_client_that_is_killed_leaves_a_log_for_the_next_one(path: Path) -> None:
    first, second = (SqliteStore(each, history=True) for each in (path, path.with_name("copy.db")))
    first.open(*ALICE)
    stored, kept, gone, placed = (first.put(entry(number)) for number in range(4))
    first.flush()
    first.remove(stored, 5)
    first.remove(gone, 6)
    placed = first.put(entry(7))
    first.remove(placed, 7)
    report = first.put_late_report(b"late", None, 3)
    for ending in ("", "-wal", "-outbox"):
        shutil.copy(f"{path}{ending}", f"{second.path}{ending}")
    for _ in range(2):  # from the log, and then from the tables
        second.open(*ALICE)
        assert [each.key for each in second.outbox()] == [kept, gone + 1]
        assert (second.late_reports(), second.settled_through) == ([(report, b"late")], 7)
        orders = sqlite3.connect(second.path)
        assert orders.execute("SELECT key, settled_by, message FROM cryptoproto_history_order").fetchall() == [
            (stored, 5, '{"n":0}'), (gone, 6, '{"n":2}'), (placed, 7, '{"n":7}'),
        ]  # fmt: skip
        orders.close()
        second.close()
        assert not path.with_name("copy.db-outbox").exists()
    second.open(*ALICE)
    assert second.put(entry()) == placed + 1, "no key is used twice"
    second.close()
    first.close()


def test_a_log_of_another_copy_of_the_file_is_left_alone(path: Path) -> None:
    """As after a backup was restored in the place of a file whose client was killed."""
    store, restored = SqliteStore(path), SqliteStore(path.with_name("copy.db"))
    store.open(*ALICE)
    store.close()
    shutil.copy(path, restored.path)
    store.open(*ALICE)
    store.put(entry())
    shutil.copy(f"{path}-outbox", f"{restored.path}-outbox")
    restored.open(*ALICE)
    assert restored.outbox() == []
    restored.close()
    store.close()


def test_a_log_that_cannot_be_read_is_named(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    with store.transaction() as db:
        (identity,) = db.execute("SELECT log_identity FROM cryptoproto_store").fetchone()
    store.close()
    log = OutboxLog(path.with_name("alice.db-outbox"), identity, sync=False)
    no_key: Any = "seven"
    log.append(Put(no_key, "place", b"", 1, None, None))
    log.append(Put(7, "place", b"", 1, None, None))
    log.close()
    for _ in range(2):
        with pytest.raises(cp.ConfigurationError, match=r"alice\.db-outbox is damaged: Expected `int`"):
            store.open(*ALICE)
    log.path.unlink()
    store.open(*ALICE)
    assert store.outbox() == []
    store.close()


# Errors of SQLite


def changes(store: SqliteStore) -> dict[str, Callable[[], object]]:
    """Every call that writes to the log."""
    return {
        "put": lambda: store.put(entry()),
        "remove": lambda: store.remove(1, 1),
        "put_late_report": lambda: store.put_late_report(b"", None, 1),
        "remove_late_report": lambda: store.remove_late_report(1),
    }


@pytest.mark.parametrize("name", changes(SqliteStore("unused.db")))
def test_a_change_that_cannot_be_written_is_not_made(
    sqlite: SqliteStore, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    assert sqlite.put(entry()) == 1
    assert sqlite.put_late_report(b"late", None, 0) == 1
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", no_room)
        with pytest.raises(cp.StoreError, match=r"cannot write to .*alice\.db-outbox: No space left on device"):
            changes(sqlite)[name]()
    assert sqlite.outbox() == [entry(key=1)]
    assert sqlite.late_reports() == [(1, b"late")]
    assert sqlite.settled_through == 0
    assert sqlite.put(entry()) == 2
    assert sqlite.put_late_report(b"late", None, 0) == 2


@pytest.mark.parametrize(
    ("name", "change"),
    {
        "created_ns": lambda store, number: store.put(OutboxEntry(kind="place", payload=b"{}", created_ns=number)),
        "client_order_id": lambda store, number: store.put(entry(client_order_id=number)),
        "sequence": lambda store, number: store.put(entry(sequence=number)),
        "settled_through": lambda store, number: store.remove(1, number),
        "key": lambda store, number: store.put_late_report(b"", number, 1),
    }.items(),
)
@pytest.mark.parametrize("number", [2**63, 10**5000, -(2**63) - 1], ids=["just", "far", "negative"])
def test_a_number_that_sqlite_cannot_hold_is_refused(
    name: str, change: Callable[[SqliteStore, int], object], number: int, sqlite: SqliteStore
) -> None:
    with pytest.raises(
        cp.ConfigurationError, match=rf"^{name} does not fit into a signed 64-bit integer; nothing was stored$"
    ):
        change(sqlite, number)
    sqlite.put(entry(sequence=2**63 - 1, client_order_id=-(2**63)))
    sqlite.flush()
    sqlite.close()
    sqlite.open(*ALICE)
    assert sqlite.outbox() == [entry(key=1, sequence=2**63 - 1, client_order_id=-(2**63))]
    assert (sqlite.settled_through, sqlite.late_reports()) == (-1, [])


@pytest.mark.parametrize("number", [2**63, 10**5000, -(2**63) - 1], ids=["just", "far", "negative"])
def test_a_position_that_sqlite_cannot_hold_is_refused(number: int, sqlite: SqliteStore) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"does not fit into a signed 64-bit integer; it was not changed$"):
        sqlite.advance(number)
    sqlite.advance(2**63 - 1)
    sqlite.flush()
    assert stored_position(sqlite) == 2**63 - 1


@pytest.mark.parametrize(
    ("name", "value"), [("payload", "{}"), ("created_ns", None), ("kind", "\ud800"), ("sequence", True)]
)
def test_a_value_of_another_type_is_refused(name: str, value: Any, sqlite: SqliteStore) -> None:
    wrong = entry()
    setattr(wrong, name, value)
    with pytest.raises(cp.ConfigurationError, match=rf"^{name} cannot be stored: .*; nothing was stored$"):
        sqlite.put(wrong)
    sqlite.put(entry())
    sqlite.flush()
    assert sqlite.outbox() == [entry(key=1)]


def test_a_commit_that_is_interrupted_is_undone(sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    sqlite.advance(5)
    with monkeypatch.context() as patch:
        patch.setattr(Changes, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            sqlite.flush()
    assert stored_position(sqlite) is None
    sqlite.flush()
    assert stored_position(sqlite) == 5


@pytest.mark.parametrize("name", changes(SqliteStore("unused.db")))
def test_a_change_in_another_thread(sqlite: SqliteStore, name: str) -> None:
    with ThreadPoolExecutor(1) as executor:
        changing = executor.submit(changes(sqlite)[name])
    with pytest.raises(cp.StoreError, match=r"cannot write to .*alice\.db: .* in the thread that opened it"):
        changing.result()


def uses(store: SqliteStore) -> dict[str, Callable[[], object]]:
    """Every call that reads or writes the file of SQLite."""
    return {
        "outbox": store.outbox,
        "late_reports": store.late_reports,
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
    key, other_key = sqlite.put(entry()), sqlite.put(entry())
    with sqlite.transaction() as db:
        db.execute("CREATE TRIGGER no BEFORE INSERT ON cryptoproto_late_report BEGIN SELECT raise(ABORT, 'no'); END")
    sqlite.remove(key, 5)
    sqlite.put_late_report(b"late", other_key, 5)
    sqlite.put(entry())
    with pytest.raises(cp.StoreError, match="no"):
        sqlite.flush()
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    assert other.execute("SELECT key FROM cryptoproto_outbox").fetchall() == [(key,), (other_key,)]
    assert [each.key for each in sqlite.outbox()] == [other_key + 1]
    other.execute("DROP TRIGGER no")
    sqlite.flush()
    assert other.execute("SELECT key FROM cryptoproto_outbox").fetchall() == [(other_key + 1,)]
    assert other.execute("SELECT report FROM cryptoproto_late_report").fetchall() == [(b"late",)]
    other.close()


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


def recorded(store: SqliteStore) -> list[int]:
    """The transactions in the history, without writing what is not written."""
    return [entry.transaction_id for entry in Reader(store.path).entries()]


@pytest.fixture
def recording(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, history=True)
    store.open(*ALICE)
    yield store
    store.close()


def test_history_is_written_with_the_position(recording: SqliteStore) -> None:
    recording.record([event(number, balance("USD", "1", "1")) for number in (1, 2, 3)])
    recording.advance(2)
    assert recorded(recording) == []
    recording.flush()
    assert recorded(recording) == [1, 2, 3]
    assert stored_position(recording) == 2
    recording.advance(3)
    recording.flush()
    assert stored_position(recording) == 3


def test_history_is_written_with_a_transaction_of_the_user(recording: SqliteStore) -> None:
    recording.watch(lambda: 1)
    recording.record([event(1, balance("USD", "1", "1"))])
    with pytest.raises(ZeroDivisionError), recording.transaction():
        raise ZeroDivisionError
    assert recorded(recording) == []
    with recording.transaction():
        recording.flush()  # the end of the transaction does that
    assert recorded(recording) == [1]
    assert stored_position(recording) == 1
    recording.record([event(1, balance("USD", "1", "1")), event(2, balance("USD", "2", "1"))])
    recording.close()
    recording.open(*ALICE)
    assert recorded(recording) == [1, 2]


def test_history_that_cannot_be_written_is_written_later(recording: SqliteStore) -> None:
    recording.record([event(1, balance("USD", "1", "1"))])
    recording.advance(1)
    other = sqlite3.connect(recording.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(cp.StoreError, match="cannot write"):
        recording.flush()
    other.execute("ROLLBACK")
    other.execute(
        "CREATE TRIGGER full BEFORE INSERT ON cryptoproto_history_group "
        "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
    )
    for _ in range(2):
        with pytest.raises(cp.StoreError, match=r"cannot write to .*alice\.db: database or disk is full"):
            recording.flush()
    with pytest.raises(cp.StoreError, match="disk is full"), recording.transaction():
        pass
    assert stored_position(recording) is None  # neither is written without the other
    other.execute("DROP TRIGGER full")
    other.close()
    recording.flush()
    assert recorded(recording) == [1]
    assert stored_position(recording) == 1


def test_the_file_is_as_large_as_the_disk(recording: SqliteStore) -> None:
    """The error of SQLite itself: no page can be added."""
    with recording.transaction() as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        assert db.execute(f"PRAGMA max_page_count = {pages}").fetchone() == (pages,)
    many = [event(number, balance("USD", "1", "1")) for number in range(1, 200)]
    recording.record(many)
    with pytest.raises(cp.StoreError, match="database or disk is full"):
        recording.flush()
    with pytest.raises(cp.StoreError, match="database or disk is full"), recording.transaction() as db:
        pass
    with suppress(cp.StoreError), recording.transaction() as db:
        db.execute("PRAGMA max_page_count = 100000")
    recording.flush()
    assert recorded(recording) == list(range(1, 200))


def test_a_history_that_is_asked_for_before_the_store_is_open(path: Path) -> None:
    history = SqliteStore(path, history=True).history
    assert history is not None
    with pytest.raises(cp.ConfigurationError, match="there is no file"):
        list(history.trades())
    assert SqliteStore(path).history is None
