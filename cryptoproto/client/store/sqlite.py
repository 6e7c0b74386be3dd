"""The store in a file: SQLite in WAL mode, one writer, commits of positions in groups."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from ...exceptions import ConfigurationError, StoreError
from .interface import OutboxEntry

__all__ = ["SqliteStore"]

_APPLICATION_ID: Final = 0x43505354  # "CPST"
_SCHEMA_VERSION: Final = 2
_MAGIC: Final = b"SQLite format 3\x00"
_LATE_REPORTS: Final = "CREATE TABLE cryptoproto_late_report (key INTEGER PRIMARY KEY, report BLOB NOT NULL)"
_SCHEMA: Final = (
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
    _LATE_REPORTS,
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
_FROM_VERSION_1: Final = (
    _LATE_REPORTS,
    "ALTER TABLE cryptoproto_outbox DROP COLUMN deadline_ns",
    "ALTER TABLE cryptoproto_outbox DROP COLUMN resend",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)
_COLUMNS: Final = "kind, payload, created_ns, client_order_id, sequence"
# A checkpoint waits for the disk twice, so it is made in a thread. That cannot catch up with commits that follow each
# other without a pause; then, at 16 MiB of log, a commit makes one itself.
_CHECKPOINT_COMMITS: Final = 1000
_BACKSTOP_PAGES: Final = 4096
# How long a commit waits for another program that writes, against our advice, before it fails.
_PATIENCE_S: Final = 0.25


class SqliteStore:
    """Keeps the position and the outbox in the SQLite file *path*, which is made where there is none (mode 0600).

    **After ``kill -9``** everything is there that a call had returned from, up to the group of positions that was not
    flushed yet: the events after the last one are delivered again. **After a loss of power** the file is intact, but
    with ``synchronous="NORMAL"`` the last commits before it may be missing, outbox entries included; ``"FULL"`` waits
    for the disk with each commit, milliseconds in place of 50 µs, and then nothing is missing. The position never
    moves backwards otherwise.

    **Exactly once**: tables of one's own in the same file, changed in :meth:`transaction`, move with the position.

    One writer: a second store on the same file, in this process or another, is refused for as long as the first is
    open; a lock on ``path`` + ``-lock`` sees to that, and vanishes with its process. Other programs can read.

    Args:
        path: the file, in a folder that exists.
        commit_every: how many events make a group. The client stores one that is not full from a timer.
        synchronous: see above.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        commit_every: int = 256,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    ) -> None:
        if os.fspath(path) == ":memory:":
            raise ConfigurationError("a store in memory is a MemoryStore, or store=None")
        if commit_every < 1:
            raise ConfigurationError(f"commit_every={commit_every} must be 1 or more")
        if synchronous not in ("NORMAL", "FULL"):
            raise ConfigurationError(f'synchronous={synchronous!r} must be "NORMAL" or "FULL"')
        self.path = Path(path)
        self.commit_every = commit_every
        self._synchronous = synchronous
        self._lock: sqlite3.Connection | None = None
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._position: int | None = None
        self._settled_through = -1
        self._last_report = 0
        self._is_behind = False  # the file, behind the position
        self._handling: Callable[[], int | None] = lambda: None
        self._in_transaction = False
        self._postponed: list[Callable[[], None]] = []
        self._commits = 0
        self._checkpointer: threading.Thread | None = None

    def open(self, client_id: str, server_fingerprint: str) -> None:
        """See :meth:`~cryptoproto.client.store.Store.open`.

        Raises:
            ConfigurationError: the file belongs to another client or exchange, is in use, is no file of this kind,
                is damaged, or cannot be opened. It is as it was before.
        """
        if self._connection is not None:
            raise ConfigurationError(f"{self.path} is in use by another client; give each a store of its own")
        try:
            path = self.path.resolve()
            _check_magic(path)
            self._lock = _locked(path)
            _create_file(path)
            self._connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
            self._position, self._settled_through = _prepare(
                self._connection, path, client_id, server_fingerprint, self._synchronous
            )
            self._last_report = self._connection.execute(
                "SELECT coalesce(max(key), 0) FROM cryptoproto_late_report"
            ).fetchone()[0]
        except (sqlite3.Error, OSError) as error:
            self._release()
            raise ConfigurationError(f"{self.path} cannot be used as a store: {error}") from error
        except ConfigurationError:
            self._release()
            raise
        self._process = os.getpid()
        self._is_behind = False

    @property
    def position(self) -> int | None:
        """See :attr:`~cryptoproto.client.store.Store.position`."""
        return self._position

    def outbox(self) -> list[OutboxEntry]:
        """See :meth:`~cryptoproto.client.store.Store.outbox`."""
        rows = self._read(f"SELECT key, {_COLUMNS} FROM cryptoproto_outbox ORDER BY key")  # noqa: S608
        return [
            OutboxEntry(
                key=key,
                kind=kind,
                payload=payload,
                created_ns=created_ns,
                client_order_id=client_order_id,
                sequence=sequence,
            )
            for key, kind, payload, created_ns, client_order_id, sequence in rows
        ]

    def watch(self, handling: Callable[[], int | None]) -> None:
        """See :meth:`~cryptoproto.client.store.Store.watch`."""
        self._handling = handling

    def advance(self, transaction_id: int) -> None:
        """See :meth:`~cryptoproto.client.store.Store.advance`."""
        if self._position is None or transaction_id > self._position:
            self._position = transaction_id
            self._is_behind = True

    def put(self, entry: OutboxEntry) -> int:
        """See :meth:`~cryptoproto.client.store.Store.put`.

        Raises:
            ConfigurationError: a :meth:`transaction` is open, and what belongs to it could still be undone.
            StoreError: it could not be written.
        """
        if self._in_transaction:
            raise ConfigurationError(
                "an order cannot be sent while store.transaction() is open, because it could be undone after the order "
                "has left; leave the transaction first, and don't wait for anything within it"
            )
        cursor = self._execute(
            f"INSERT INTO cryptoproto_outbox ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
            entry.kind,
            entry.payload,
            entry.created_ns,
            entry.client_order_id,
            entry.sequence,
        )
        entry.key = cursor.lastrowid or 0
        return entry.key

    def remove(self, key: int, settled_through: int) -> None:
        """See :meth:`~cryptoproto.client.store.Store.remove`; waits for the end of an open :meth:`transaction`."""
        if self._in_transaction:
            self._postponed.append(lambda: self.remove(key, settled_through))
            return
        through = max(self._settled_through, settled_through)
        self._execute_all(
            ("DELETE FROM cryptoproto_outbox WHERE key = ?", (key,)),
            ("UPDATE cryptoproto_store SET settled_through = ?", (through,)),
        )
        self._settled_through = through

    @property
    def settled_through(self) -> int:
        """See :attr:`~cryptoproto.client.store.Store.settled_through`."""
        return self._settled_through

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        """See :meth:`~cryptoproto.client.store.Store.put_late_report`; waits as :meth:`remove` does."""
        self._last_report += 1
        self._put_late_report(self._last_report, report, key, settled_through)
        return self._last_report

    def _put_late_report(self, number: int, report: bytes, key: int | None, settled_through: int) -> None:
        if self._in_transaction:
            self._postponed.append(lambda: self._put_late_report(number, report, key, settled_through))
            return
        through = max(self._settled_through, settled_through)
        self._execute_all(
            ("INSERT INTO cryptoproto_late_report VALUES (?, ?)", (number, report)),
            ("DELETE FROM cryptoproto_outbox WHERE key = ?", (key,)),
            ("UPDATE cryptoproto_store SET settled_through = ?", (through,)),
        )
        self._settled_through = through

    def late_reports(self) -> list[tuple[int, bytes]]:
        """See :meth:`~cryptoproto.client.store.Store.late_reports`."""
        return self._read("SELECT key, report FROM cryptoproto_late_report ORDER BY key")

    def remove_late_report(self, key: int) -> None:
        """See :meth:`~cryptoproto.client.store.Store.remove_late_report`; waits as :meth:`remove` does."""
        if self._in_transaction:
            self._postponed.append(lambda: self.remove_late_report(key))
            return
        self._execute("DELETE FROM cryptoproto_late_report WHERE key = ?", key)

    def flush(self) -> None:
        """Make the position durable; left to the end of a :meth:`transaction` that is open.

        Raises:
            StoreError: it could not be written; it is not lost, the next call tries again.
        """
        if self._is_behind and not self._in_transaction:
            self._execute("UPDATE cryptoproto_store SET position = ?", self._position)
            self._is_behind = False

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change tables of one's own and the position together, or neither.

        ::

            async for event in client.events():
                with store.transaction() as db:
                    db.execute("INSERT INTO fills VALUES (?, ?)", (event.transaction_id, ...))

        When the block is left, the changes are committed together with the position of the event that is being
        handled; after an exception they are undone, the position stays, and the event comes again after a restart. So
        each event takes effect exactly once. Once for an event, in the task that handles it, without ``await`` in the
        block. Outside of the handling of an event it is a transaction like any other, for making tables.

        Raises:
            ConfigurationError: it was left in another state than it was entered (``commit()``, ``executescript()``),
                is open already, or the store is not open.
            StoreError: the changes could not be committed, and were undone.
        """
        connection = self._open()
        if self._in_transaction:
            raise ConfigurationError("store.transaction() is open already; one at a time")
        self._execute("BEGIN IMMEDIATE")
        self._in_transaction = True
        try:
            yield connection
            if not connection.in_transaction:
                raise ConfigurationError(
                    "the transaction was ended within store.transaction(), by commit(), rollback() or executescript(); "
                    "leave that to the end of the block"
                )
            self._commit_with_position(connection)
        finally:
            self._in_transaction = False
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            postponed, self._postponed = self._postponed, []
            for operation in postponed:
                operation()

    def close(self) -> None:
        """See :meth:`~cryptoproto.client.store.Store.close`.

        Raises:
            StoreError: the last group of positions could not be written; the file is closed all the same.
        """
        if self._connection is None:
            return
        try:
            if self._process == os.getpid():
                self.flush()
        finally:
            if self._checkpointer is not None and self._process == os.getpid():
                self._checkpointer.join()
            self._checkpointer = None
            self._release()

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}, {'closed' if self._connection is None else 'open'} at {self._position}>"

    def _commit_with_position(self, connection: sqlite3.Connection) -> None:
        position, handling = self._position, self._handling()
        if handling is not None and (position is None or handling > position):
            position = handling
        try:
            connection.execute("UPDATE cryptoproto_store SET position = ?", (position,))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from error
        self._position = position
        self._is_behind = False
        self._count_commit()

    def _execute(self, statement: str, *parameters: object) -> sqlite3.Cursor:
        try:
            cursor = self._open().execute(statement, parameters)
        except sqlite3.Error as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from error
        self._count_commit()
        return cursor

    def _execute_all(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """Execute all *statements* in one transaction, or none of them."""
        connection = self._open()
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement, parameters in statements:
                connection.execute(statement, parameters)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise StoreError(f"cannot write to {self.path}: {error}") from error
        self._count_commit()

    def _read(self, statement: str) -> list[Any]:
        try:
            return self._open().execute(statement).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"cannot read {self.path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ConfigurationError(f"the store {self.path} is not open; a client opens and closes it")
        if self._process != os.getpid():
            raise ConfigurationError(f"{self.path} was opened before a fork; open it in the process that uses it")
        return self._connection

    def _count_commit(self) -> None:
        self._commits += 1
        if self._commits < _CHECKPOINT_COMMITS or (self._checkpointer is not None and self._checkpointer.is_alive()):
            return
        self._commits = 0
        self._checkpointer = threading.Thread(
            target=_checkpoint, args=(self.path.resolve(),), name="cryptoproto-checkpoint", daemon=True
        )
        self._checkpointer.start()

    def _release(self) -> None:
        for connection in (self._connection, self._lock):
            if connection is not None:
                connection.close()
        self._connection = self._lock = None


def _check_magic(path: Path) -> None:
    """Refuse what is no SQLite file before SQLite sees it."""
    if not path.exists():
        if not path.parent.is_dir():
            raise ConfigurationError(f"{path} cannot be made: there is no folder {path.parent}")
        return
    if not path.is_file():
        raise ConfigurationError(f"{path} is no file")
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start and start != _MAGIC:
        raise ConfigurationError(f"{path} is no store but another kind of file; it was left as it is")


def _create_file(path: Path) -> None:
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _locked(path: Path) -> sqlite3.Connection:
    """Hold a lock for as long as the connection that is returned is open; the file stays empty.

    SQLite's own locks, on a file beside the store: they work on every system and vanish with the process that holds
    them, and others can go on reading the store.
    """
    beside = path.with_name(path.name + "-lock")
    _create_file(beside)
    connection = sqlite3.connect(beside, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        connection.close()
        raise ConfigurationError(
            f"{path} is in use: another client has it open, in this process or another ({error})"
        ) from None
    return connection


def _prepare(
    connection: sqlite3.Connection, path: Path, client_id: str, server_fingerprint: str, synchronous: str
) -> tuple[int | None, int]:
    """Check the file, make its tables where it is empty, and return position and settled_through in it."""
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application_id != _APPLICATION_ID and not (is_empty and application_id == 0):
        raise ConfigurationError(
            f"{path} is a database of something else and was left as it is; let the client make a file of its own, "
            f"and your tables in it with store.transaction()"
        )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > _SCHEMA_VERSION:
        raise ConfigurationError(f"{path} was written by a newer version of this package")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_BACKSTOP_PAGES}")
    if is_empty:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute("INSERT INTO cryptoproto_store VALUES (1, ?, ?, NULL, -1)", (client_id, server_fingerprint))
        connection.execute("COMMIT")
        return None, -1
    if version == 1:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _FROM_VERSION_1:
            connection.execute(statement)
        connection.execute("COMMIT")
    for table in ("cryptoproto_store", "cryptoproto_outbox", "cryptoproto_late_report"):
        verdict = connection.execute(f"PRAGMA quick_check({table})").fetchone()[0]
        if verdict != "ok":
            raise ConfigurationError(f"{path} is damaged: {verdict}")
    row = connection.execute(
        "SELECT client_id, server_fingerprint, position, settled_through FROM cryptoproto_store"
    ).fetchone()
    if row is None:
        raise ConfigurationError(f"{path} is damaged: it does not say whose it is")
    if (row[0], row[1]) != (client_id, server_fingerprint):
        raise ConfigurationError(
            f"{path} belongs to client {row[0]!r} at the exchange with the key {row[1]}, not to client {client_id!r} "
            f"at the exchange with the key {server_fingerprint}; give each a file of its own"
        )
    return row[2], row[3]


def _checkpoint(path: Path) -> None:
    """Bring the log into the file, beside those who write, so that they need not."""
    # What goes wrong here is tried again later, and a commit that cannot be made says so itself.
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
