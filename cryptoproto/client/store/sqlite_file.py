"""The file of a SQLite store: created for its owner only, locked, checked, and migrated from older versions."""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...exceptions import ConfigurationError
from ...file_lock import FileInUse, FileLock
from ...history import Recorder, open_history
from .changes import Changes
from .outbox_log import OutboxLog, read_log

__all__ = ["StoreFile"]

_APPLICATION_ID: Final = 0x43505354  # "CPST"
_SCHEMA_VERSION: Final = 3
_MAGIC: Final = b"SQLite format 3\x00"
_LATE_REPORTS: Final = "CREATE TABLE cryptoproto_late_report (key INTEGER PRIMARY KEY, report BLOB NOT NULL)"
_SCHEMA: Final = (
    """CREATE TABLE cryptoproto_store (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        client_id TEXT NOT NULL,
        server_fingerprint TEXT NOT NULL,
        position INTEGER,
        settled_through INTEGER NOT NULL,
        last_key INTEGER NOT NULL,
        log_identity INTEGER NOT NULL,
        log_number INTEGER NOT NULL
    )""",
    """CREATE TABLE cryptoproto_outbox (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        payload BLOB NOT NULL,
        created_ns INTEGER NOT NULL,
        client_order_id INTEGER,
        sequence INTEGER
    )""",
    _LATE_REPORTS,
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
_FROM_VERSION_1: Final = (
    _LATE_REPORTS,
    "ALTER TABLE cryptoproto_outbox DROP COLUMN deadline_ns",
    "ALTER TABLE cryptoproto_outbox DROP COLUMN resend",
)
_FROM_VERSION_2: Final = (
    "ALTER TABLE cryptoproto_store ADD COLUMN last_key INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE cryptoproto_store ADD COLUMN log_identity INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE cryptoproto_store ADD COLUMN log_number INTEGER NOT NULL DEFAULT 0",
    """UPDATE cryptoproto_store
        SET last_key = coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'cryptoproto_outbox'), 0)""",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
_MIGRATIONS: Final = {1: _FROM_VERSION_1 + _FROM_VERSION_2, 2: _FROM_VERSION_2}
_TABLES: Final = {
    1: ("cryptoproto_store", "cryptoproto_outbox"),
    2: ("cryptoproto_store", "cryptoproto_outbox", "cryptoproto_late_report"),
    3: ("cryptoproto_store", "cryptoproto_outbox", "cryptoproto_late_report"),
}
# Checkpoints are made in a thread, when there is a pause. At 64 MiB of log, a commit makes one itself.
_BACKSTOP_PAGES: Final = 16384
# How long a commit waits for another program that writes to the file, contrary to the documentation.
_BUSY_TIMEOUT_S: Final = 0.25


class StoreFile:
    """The open file of one client at one exchange, and the log beside it. Both are created with mode 0600.

    What a process that was killed has left in the log is in the tables when the file is open.

    Args:
        path: the file, with symbolic links resolved.
        owner: client id, and fingerprint of the exchange's key.
        synchronous: SQLite's setting of that name.
        history: create the tables of a history if there are none.

    Attributes:
        connection: for reading and writing, in autocommit mode.
        log: for changes of the outbox.
        changes: those that only the log has.
        position: the stored position.
        last_report: the highest key of a late report, 0 if there is none.
        recorder: what writes the history; ``None`` if the file has none.

    Raises:
        ConfigurationError: the file belongs to another client or exchange, is in use, is not a store, is damaged, or
            was written by a newer version. It was not changed.
        sqlite3.Error, UnicodeDecodeError, OSError: it cannot be opened or read.
    """

    __slots__ = ("_lock", "changes", "connection", "last_report", "log", "position", "recorder")

    def __init__(self, path: Path, owner: tuple[str, str], *, synchronous: str, history: bool) -> None:
        _check_path(path)
        self._lock = _locked(path)
        connection: sqlite3.Connection | None = None
        try:
            # Only now: opening a file that this process has open would end SQLite's locks on it when it is closed.
            _check_magic(path)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            self._lock.follow()
            connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
            self.connection: sqlite3.Connection = connection
            _prepare(connection, path, owner, synchronous)
            self.position: int | None = _row(connection, "SELECT position FROM cryptoproto_store")[0]
            now_us = time.time_ns() // 1000
            through = open_history(connection, path, self.position, create=history, now_us=now_us)
            self.recorder: Recorder | None = None if through is None else Recorder(through)
            self.changes: Changes
            self.log: OutboxLog
            self.changes, self.log = _open_log(connection, path, synchronous, has_history=self.recorder is not None)
            self.last_report: int = _row(connection, "SELECT coalesce(max(key), 0) FROM cryptoproto_late_report")[0]
        except BaseException:
            if connection is not None:
                connection.close()
            self._lock.release()
            raise

    def close(self, *, keep_log: bool) -> None:
        """Close the file and release its lock.

        Args:
            keep_log: whether the next one that opens the file needs the log.

        Raises:
            sqlite3.ProgrammingError: called in another thread than the one that opened it.
        """
        self.connection.close()
        self.log.close()
        if not keep_log:
            with suppress(OSError):  # nothing in it would be read
                self.log.path.unlink()
        self._lock.release()


def _check_path(path: Path) -> None:
    if path.exists():
        if not path.is_file():
            raise ConfigurationError(f"{path} is not a regular file")
    elif not path.parent.is_dir():
        raise ConfigurationError(f"{path} cannot be created: there is no folder {path.parent}")


def _locked(path: Path) -> FileLock:
    try:
        return FileLock(path)
    except FileInUse as error:
        raise ConfigurationError(
            f"{path} is in use by another client, in {error.user}; give each client its own store"
        ) from None
    except NotImplementedError as error:
        raise ConfigurationError(f"{path} cannot be used as a store: {error}; use a MemoryStore") from None


def _check_magic(path: Path) -> None:
    """Reject a file of another kind before SQLite opens it."""
    if path.exists():
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start and start != _MAGIC:
            raise ConfigurationError(f"{path} is not a store but another kind of file; it was not changed")


def _prepare(connection: sqlite3.Connection, path: Path, owner: tuple[str, str], synchronous: str) -> None:
    """Check an existing store and migrate it, or create the tables in an empty file."""
    (application_id,) = _row(connection, "PRAGMA application_id")
    is_empty = not _row(connection, "SELECT count(*) FROM sqlite_master")[0]
    if application_id != _APPLICATION_ID and not (is_empty and application_id == 0):
        raise ConfigurationError(
            f"{path} is the database of another program and was not changed; let the client create its own file, "
            f"and create your tables in it with store.transaction()"
        )
    (version,) = _row(connection, "PRAGMA user_version")
    if version > _SCHEMA_VERSION:
        raise ConfigurationError(f"{path} was written by a newer version of this package; update the package")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_BACKSTOP_PAGES}")
    if is_empty:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO cryptoproto_store VALUES (1, ?, ?, NULL, -1, 0, 0, 0)", owner)
        connection.execute("COMMIT")
        return
    _check_store(connection, path, owner, version)
    if version in _MIGRATIONS:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _MIGRATIONS[version]:
            connection.execute(statement)
        connection.execute("COMMIT")


def _open_log(
    connection: sqlite3.Connection, path: Path, synchronous: str, *, has_history: bool
) -> tuple[Changes, OutboxLog]:
    """Take over what the log has, and begin a new one.

    Its identity is stored with what was taken over, so that neither the old log nor one of another copy of the file
    is ever taken for it.
    """
    log_path = path.with_name(f"{path.name}-outbox")
    last_key, settled_through, identity, number = _row(
        connection, "SELECT last_key, settled_through, log_identity, log_number FROM cryptoproto_store"
    )
    changes = Changes(last_key, settled_through)
    try:
        for change in read_log(log_path, identity, number):
            changes.add(change)
    except ValueError as error:
        raise ConfigurationError(f"{log_path} is damaged: {error}") from None
    identity = secrets.randbits(32)
    connection.execute("BEGIN IMMEDIATE")
    changes.write(connection, has_history=has_history)
    connection.execute(
        "UPDATE cryptoproto_store SET last_key = ?, settled_through = ?, log_identity = ?, log_number = 0",
        (changes.last_key, changes.settled_through, identity),
    )
    connection.execute("COMMIT")
    changes.written()
    return changes, OutboxLog(log_path, identity, sync=synchronous == "FULL")


def _check_store(connection: sqlite3.Connection, path: Path, owner: tuple[str, str], version: int) -> None:
    """Reject a store that is damaged or belongs to somebody else."""
    for table in _TABLES.get(version, ()):
        (verdict,) = _row(connection, f"PRAGMA quick_check({table})")
        if verdict != "ok":
            raise ConfigurationError(f"{path} is damaged: {verdict}")
    found = connection.execute("SELECT client_id, server_fingerprint FROM cryptoproto_store").fetchone()
    if found is None:
        raise ConfigurationError(f"{path} is damaged: it does not say which client it belongs to")
    if found != owner:
        raise ConfigurationError(
            f"{path} belongs to client {found[0]!r} at the exchange with the key {found[1]}, not to client "
            f"{owner[0]!r} at the exchange with the key {owner[1]}; give each client its own file"
        )


def _row(connection: sqlite3.Connection, query: str) -> Any:
    return connection.execute(query).fetchone()
