"""The file of a store: its mode, its lock, what is rejected, and the migration of older versions."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.store.interface import OutboxEntry
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.stores import ALICE, entry


def test_the_file_is_for_its_owner_alone(sqlite: SqliteStore) -> None:
    sqlite.put(entry())
    files = list(sqlite.path.parent.iterdir())
    assert {file.name for file in files} >= {"alice.db", "alice.db-wal", "alice.db-outbox", "alice.db-lock"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize("level", ["NORMAL", "FULL"])
def test_the_log_and_how_it_is_written(path: Path, level: Any) -> None:
    store = SqliteStore(path, synchronous=level)
    store.open(*ALICE)
    with store.transaction() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == ({"NORMAL": 1, "FULL": 2}[level],)
    store.close()


@pytest.mark.parametrize("name", ["same", "detour", "symlink", "hard link"])
def test_a_second_store_on_the_file_is_rejected_under_any_name(sqlite: SqliteStore, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    other = folder / "other.db"
    if name == "same":
        other = sqlite.path
    elif name == "detour":
        other = folder / ".." / "alice.db"
    elif name == "symlink":
        other.symlink_to(sqlite.path)
    else:
        os.link(sqlite.path, other)
    with pytest.raises(
        cp.ConfigurationError, match=rf"in use by another client, in process {os.getpid()}.*give each client its own"
    ):
        SqliteStore(other).open(*ALICE)
    sqlite.advance(1)
    sqlite.close()
    second = SqliteStore(other)
    second.open(*ALICE)
    assert second.position == 1
    second.close()


@pytest.mark.parametrize("name", ["alice.db", "link.db"])
def test_a_store_that_another_process_uses_is_rejected_under_any_name(path: Path, tmp_path: Path, name: str) -> None:
    a_store(path)
    os.link(path, tmp_path / "link.db")
    code = (
        "import sys\n"
        "import cryptoproto as cp\n"
        "store = cp.SqliteStore(sys.argv[1])\n"
        "store.open('alice', 'aa:bb')\n"
        "print('open', flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(cp.ConfigurationError, match="in use by another client"):
            SqliteStore(tmp_path / name).open(*ALICE)
        process.kill()
    store = SqliteStore(tmp_path / name)
    store.open(*ALICE)
    store.close()


def test_a_rejected_second_store_leaves_the_first_one_locked(sqlite: SqliteStore, tmp_path: Path) -> None:
    """Closing any descriptor of a file ends SQLite's own locks on it, so the second store may not even look into it."""
    os.link(sqlite.path, tmp_path / "link.db")
    with sqlite.transaction():
        for name in ("alice.db", "link.db"):
            with pytest.raises(cp.ConfigurationError, match="in use"):
                SqliteStore(tmp_path / name).open(*ALICE)
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        result = subprocess.run([sys.executable, "-c", code, sqlite.path], capture_output=True, text=True, check=False)
        assert "database is locked" in result.stderr


def test_a_system_without_file_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(cp.ConfigurationError, match=r"cannot be used as a store: .*fcntl.*; use a MemoryStore"):
        SqliteStore(path).open(*ALICE)


def test_another_process_is_refused_but_may_read(sqlite: SqliteStore) -> None:
    sqlite.advance(12)
    sqlite.flush()
    code = (
        "import sqlite3, sys\n"
        "import cryptoproto as cp\n"
        "print(sqlite3.connect(sys.argv[1]).execute('SELECT position FROM cryptoproto_store').fetchone()[0])\n"
        "try:\n"
        "    cp.SqliteStore(sys.argv[1]).open('alice', 'aa:bb')\n"
        "except cp.ConfigurationError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, sqlite.path], capture_output=True, text=True, check=True)
    position, refusal = result.stdout.splitlines()
    assert position == "12"
    assert "in use" in refusal


def a_text(path: Path) -> None:
    path.write_text("dear diary, today I overwrote nothing")


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE savings (amount)")
    connection.close()


def another_application(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("PRAGMA user_version = 3")
    connection.close()


def a_newer_version(path: Path) -> None:
    a_store(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def a_store(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    for number in range(200):
        store.put(entry(number))
    store.close()


def a_cut_store(path: Path) -> None:
    a_store(path)
    path.write_bytes(path.read_bytes()[:5000])


def a_damaged_table(path: Path) -> None:
    a_store(path)
    raw = bytearray(path.read_bytes())
    for at in range(4096, len(raw), 4096):
        raw[at : at + 200] = b"\xa5" * 200
    path.write_bytes(raw)


def a_damaged_head(path: Path) -> None:
    a_store(path)
    raw = bytearray(path.read_bytes())
    raw[16:100] = b"\xa5" * 84
    path.write_bytes(raw)


def a_missing_value(path: Path) -> None:
    a_store(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'payload BLOB NOT NULL', 'payload BLOB')")
    connection.close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO cryptoproto_outbox (kind, created_ns) VALUES ('place', 1)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'payload BLOB', 'payload BLOB NOT NULL')")
    connection.close()


def nobodys_store(path: Path) -> None:
    a_store(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM cryptoproto_store")
    connection.close()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (a_text, "another kind of file"),
        (another_database, "database of another program"),
        (another_application, "database of another program"),
        (a_newer_version, "newer version"),
        (a_cut_store, "malformed|damaged|not a database"),
        (a_damaged_table, "malformed|damaged|not a database"),
        (a_damaged_head, "malformed|damaged|not a database"),
        (a_missing_value, r"is damaged: NULL value in cryptoproto_outbox\.payload"),
        (nobodys_store, "does not say which client"),
        (lambda path: path.mkdir(), "is not a regular file"),
    ],
)
def test_what_is_no_sound_store_is_refused_and_left_as_it_is(
    path: Path, make: Callable[[Path], None], complaint: str
) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for _ in range(2):
        with pytest.raises(cp.ConfigurationError, match=complaint):
            SqliteStore(path).open(*ALICE)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="no folder"):
        SqliteStore(tmp_path / "nowhere" / "a.db").open(*ALICE)


@pytest.mark.parametrize("make", [lambda path: path.touch(), lambda path: sqlite3.connect(path).close()])
def test_an_empty_file_becomes_a_store(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    a_store(path)
    store = SqliteStore(path)
    store.open(*ALICE)
    assert len(store.outbox()) == 200
    store.close()


def test_a_path_that_cannot_be_read(path: Path) -> None:
    a_store(path)
    path.with_name("alice.db-lock").unlink()
    path.with_name("alice.db-lock").mkdir()
    with pytest.raises(cp.ConfigurationError, match=r"alice\.db cannot be used as a store: .*Is a directory"):
        SqliteStore(path).open(*ALICE)


# Migration


def a_store_of_version_1(path: Path, *, damaged: bool = False) -> None:
    """The schema and the kind of rows that version 1 wrote."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in (
        """CREATE TABLE cryptoproto_store (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            client_id TEXT NOT NULL,
            server_fingerprint TEXT NOT NULL,
            position INTEGER,
            settled_through INTEGER NOT NULL
        )""",
        """CREATE TABLE cryptoproto_outbox (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            payload BLOB NOT NULL,
            created_ns INTEGER NOT NULL,
            client_order_id INTEGER,
            sequence INTEGER,
            deadline_ns INTEGER,
            resend INTEGER NOT NULL
        )""",
        f"PRAGMA application_id = {0x43505354}",
        "PRAGMA user_version = 1",
        "CREATE TABLE fills (transaction_id INTEGER PRIMARY KEY)",
        "INSERT INTO fills VALUES (41)",
    ):
        connection.execute(statement)
    if damaged:
        connection.execute("CREATE TABLE cryptoproto_late_report (other)")  # so the migration fails halfway
    connection.execute("INSERT INTO cryptoproto_store VALUES (1, 'alice', 'aa:bb', 42, 40)")
    outbox = "INSERT INTO cryptoproto_outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    connection.execute(outbox, (7, "place", b'{"n":1}', 1, 2**62 + 1, 12, 99, 0))
    connection.execute(outbox, (9, "cancel_all", b"{}", 2, None, None, None, 1))
    connection.execute("INSERT INTO cryptoproto_outbox VALUES (12, 'cancel', x'00', 3, 5, 13, NULL, 0)")
    connection.execute("DELETE FROM cryptoproto_outbox WHERE key = 12")  # its key is used
    connection.close()


def version_and_outbox(path: Path) -> tuple[int, list[str]]:
    connection = sqlite3.connect(path)
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    columns = [row[1] for row in connection.execute("PRAGMA table_info(cryptoproto_outbox)")]
    connection.close()
    return version, columns


def test_a_store_of_version_1_is_migrated_with_all_that_it_holds(path: Path) -> None:
    a_store_of_version_1(path)
    for _ in range(2):  # migrated, and then opened as it is now
        store = SqliteStore(path)
        store.open(*ALICE)
        assert store.position == 42
        assert store.settled_through == 40
        assert store.outbox() == [
            OutboxEntry(kind="place", payload=b'{"n":1}', created_ns=1, client_order_id=2**62 + 1, sequence=12, key=7),
            OutboxEntry(kind="cancel_all", payload=b"{}", created_ns=2, key=9),
        ]
        assert store.late_reports() == []
        with store.transaction() as db:
            assert db.execute("SELECT transaction_id FROM fills").fetchall() == [(41,)]
        store.close()
        assert version_and_outbox(path) == (
            3,
            ["key", "kind", "payload", "created_ns", "client_order_id", "sequence"],
        )
    store.open(*ALICE)
    assert store.put(entry()) == 13, "no key is used twice"
    assert store.put_late_report(b"late", 7, 50) == 1
    store.close()
    store.open(*ALICE)
    assert [each.key for each in store.outbox()] == [9, 13]
    assert (store.settled_through, store.late_reports()) == (50, [(1, b"late")])
    store.close()


def test_a_store_of_version_2_is_migrated_with_all_that_it_holds(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (
        """CREATE TABLE cryptoproto_store (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            client_id TEXT NOT NULL,
            server_fingerprint TEXT NOT NULL,
            position INTEGER,
            settled_through INTEGER NOT NULL
        )""",
        """CREATE TABLE cryptoproto_outbox (
            key INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            payload BLOB NOT NULL,
            created_ns INTEGER NOT NULL,
            client_order_id INTEGER,
            sequence INTEGER
        )""",
        "CREATE TABLE cryptoproto_late_report (key INTEGER PRIMARY KEY, report BLOB NOT NULL)",
        f"PRAGMA application_id = {0x43505354}",
        "PRAGMA user_version = 2",
        "INSERT INTO cryptoproto_store VALUES (1, 'alice', 'aa:bb', 42, 40)",
        "INSERT INTO cryptoproto_outbox VALUES (7, 'place', x'7b7d', 1, 5, 12)",
        "INSERT INTO cryptoproto_outbox VALUES (12, 'cancel', x'00', 3, 5, 13)",
        "DELETE FROM cryptoproto_outbox WHERE key = 12",
        "INSERT INTO cryptoproto_late_report VALUES (3, x'01')",
    ):
        connection.execute(statement)
    connection.close()
    for next_key in (13, 14):
        store = SqliteStore(path)
        store.open(*ALICE)
        assert (store.position, store.settled_through, store.late_reports()) == (42, 40, [(3, b"\x01")])
        assert store.put(entry()) == next_key
        assert store.outbox()[0] == OutboxEntry(
            kind="place", payload=b"{}", created_ns=1, client_order_id=5, sequence=12, key=7
        )
        store.close()


@pytest.mark.parametrize("fault", ["another owner", "halfway"])
def test_a_migration_that_cannot_be_made_changes_nothing(path: Path, fault: str) -> None:
    a_store_of_version_1(path, damaged=fault == "halfway")
    before = version_and_outbox(path)
    owner, words = (("bob", "aa:bb"), "belongs to client 'alice'") if fault == "another owner" else (ALICE, "exists")
    with pytest.raises(cp.ConfigurationError, match=words):
        SqliteStore(path).open(*owner)
    assert version_and_outbox(path) == before
    assert before[0] == 1
