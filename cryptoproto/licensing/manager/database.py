"""The manager's SQLite file: its tables, and transactions that are on disk when they end."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ...exceptions import LicenseDatabaseError

__all__ = ["Database"]

_VERSION: Final = 2
_BUSY_TIMEOUT_MS: Final = 5_000  # an administrator's command waits this long for a running server, and vice versa
_REFUSALS: Final = """CREATE TABLE refusals (
        day TEXT NOT NULL, public_key TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
        first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        PRIMARY KEY (day, public_key, reason)) STRICT, WITHOUT ROWID"""
_TABLES: Final = (
    """CREATE TABLE agreements (
        id INTEGER PRIMARY KEY AUTOINCREMENT, public_key TEXT NOT NULL, package TEXT NOT NULL,
        licenses INTEGER NOT NULL, lock_period_s REAL NOT NULL, uat INTEGER NOT NULL, note TEXT NOT NULL,
        created_ns INTEGER NOT NULL, revoked_ns INTEGER) STRICT""",
    "CREATE INDEX agreements_by_key ON agreements (public_key)",
    """CREATE TABLE locks (
        public_key TEXT NOT NULL, package TEXT NOT NULL, config_hash BLOB NOT NULL, uat INTEGER NOT NULL,
        agreement_id INTEGER NOT NULL REFERENCES agreements (id), acquired_ns INTEGER NOT NULL,
        renewed_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, session_id TEXT NOT NULL,
        PRIMARY KEY (public_key, package, config_hash, uat)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX locks_by_agreement ON locks (agreement_id, expires_ns)",
    """CREATE TABLE nonces (
        public_key TEXT NOT NULL, nonce BLOB NOT NULL, seen_ns INTEGER NOT NULL,
        PRIMARY KEY (public_key, nonce)) STRICT, WITHOUT ROWID""",
    "CREATE INDEX nonces_by_age ON nonces (seen_ns)",
    """CREATE TABLE usage (
        day TEXT NOT NULL, public_key TEXT NOT NULL, package TEXT NOT NULL, config_hash BLOB NOT NULL,
        uat INTEGER NOT NULL, session_id TEXT NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
        granted INTEGER NOT NULL, refused INTEGER NOT NULL, last_reason TEXT, facts TEXT NOT NULL,
        PRIMARY KEY (day, public_key, package, config_hash, uat, session_id)) STRICT, WITHOUT ROWID""",
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at_ns INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
        detail TEXT NOT NULL) STRICT""",
    _REFUSALS,
)


class Database:
    """One connection, used by one thread at a time.

    The file has mode 0600. With WAL, administrators can read while the server writes. With ``synchronous=FULL``, a
    commit survives a loss of power as well as the end of the process.

    Raises:
        LicenseDatabaseError: the file cannot be opened, is another kind of file, or was written by a later version.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._lock = threading.RLock()
        with self._explaining():
            if self._path != ":memory:":
                _check_file(self._path)
            self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, and durable when the block has ended. One writer at a time in all processes.

        Raises:
            LicenseDatabaseError: the database cannot be written.
        """
        with self._lock, self._explaining():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            try:
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from.

        Raises:
            LicenseDatabaseError: the database cannot be read.
        """
        with self._lock, self._explaining():
            yield self._connection

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LicenseDatabaseError(f"{self._path}: the license database cannot be used: {error}") from error
        except OSError as error:
            raise LicenseDatabaseError(f"{self._path}: {error.strerror}; does the folder exist?") from error

    def _prepare(self) -> None:
        run = self._connection.execute
        run(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run("PRAGMA foreign_keys = ON")
        with self.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._create(connection)
            elif version == 1:
                connection.execute(_REFUSALS)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise LicenseDatabaseError(
                    f"{self._path}: has version {version}, but this manager reads up to version {_VERSION}; upgrade it"
                )

    def _create(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise LicenseDatabaseError(f"{self._path}: a database of another program; choose another file")
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _check_file(path: str) -> None:
    """Create the file if it does not exist, and check that it has one name.

    An existing file is not opened here: closing it would make this process lose the locks that SQLite has on it.
    """
    with suppress(FileExistsError):
        # SQLite gives its side files the mode of the database.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if os.path.isdir(path):
        raise LicenseDatabaseError(f"{path}: this is a folder; give the name of the database's file in it")
    names = os.stat(path).st_nlink
    if names > 1:
        # SQLite names its log after the database, so that processes with different names would not see each other.
        raise LicenseDatabaseError(f"{path}: has {names} names (hard links), but it must have one; remove the others")
