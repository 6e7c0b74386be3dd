"""The store in a file: SQLite in WAL mode, one writer, commits of positions in groups."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, cast

from ...connection.event import Event
from ...exceptions import ConfigurationError, StoreError
from ...history import History, Recorder
from ...messages import Balance
from .changes import Changes
from .checkpointer import Checkpointer
from .interface import OutboxEntry, OutboxKind
from .outbox_log import INT64, Change, Put, ReportRead, Settled, check
from .sqlite_file import StoreFile

__all__ = ["SqliteStore"]

_OUTBOX: Final = "SELECT key, kind, payload, created_ns, client_order_id, sequence FROM cryptoproto_outbox ORDER BY key"
_LOG_LENGTH: Final = 1024
"""How many records the log has at most, so that taking them over takes a few milliseconds."""
_BROKEN: Final = (sqlite3.Error, UnicodeDecodeError)  # the second if damage makes SQLite's message unreadable


class SqliteStore:
    """Keeps the position and the outbox in the SQLite file *path*, which is created if it does not exist (mode 0600).

    **After ``kill -9``**, everything that a call wrote before it returned is there, except the last group of positions
    if it was not flushed: the events after the last stored position are delivered again. **After a loss of power**, the
    file is intact, but with ``synchronous="NORMAL"`` the last commits before it may be missing, including outbox
    entries. With ``"FULL"`` each write waits for the disk, for milliseconds instead of microseconds, and nothing is
    missing. In no other case does the position move backwards.

    **Beside the file** is a log, named ``path`` with ``-outbox`` at its end. It has the changes of the outbox since the
    last commit. It is part of the store until the store is closed, as SQLite's ``-wal`` file is.

    **History**: with ``history=True``, the client's trades, orders and balances are kept in the file as well, and read
    with :attr:`history`. They are committed together with the position, each once. A file that has a history goes on
    with it, whether or not it is asked for.

    **Exactly once**: your own tables in the same file, changed in :meth:`transaction`, are committed together with the
    position.

    One writer: while the store is open, a second one on the same file is rejected, in this process or another, under
    the same name, a symbolic link or a hard link. The lock ends with the process. Other programs can read the file.

    Args:
        path: the file, in a folder that exists.
        commit_every: after how many events the position is committed. The client commits smaller groups on a timer.
        synchronous: see above.
        history: keep a history from now on; see above.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        commit_every: int = 256,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
        history: bool = False,
    ) -> None:
        if os.fspath(path) == ":memory:":
            raise ConfigurationError("for a store in memory use MemoryStore, or store=None")
        if commit_every < 1:
            raise ConfigurationError(f"commit_every={commit_every} must be 1 or more")
        if synchronous not in ("NORMAL", "FULL"):
            raise ConfigurationError(f'synchronous={synchronous!r} must be "NORMAL" or "FULL"')
        self.path: Path = Path(path)
        self.commit_every = commit_every
        self._synchronous = synchronous
        self._wants_history = history
        self._recorder: Recorder | None = None
        self._file: StoreFile | None = None
        self._process = 0
        self._position: int | None = None
        self._changes = Changes(last_key=0, settled_through=-1)
        self._last_report = 0
        self._is_behind = False  # whether the file is behind the position
        self._handling: Callable[[], int | None] = lambda: None
        self._in_transaction = False
        self._checkpointer = Checkpointer(self.path)
        self._thread = 0  # the one that opened it

    def open(self, client_id: str, server_fingerprint: str) -> None:
        """See :meth:`~cryptoproto.client.store.Store.open`.

        Raises:
            ConfigurationError: the file belongs to another client or exchange, is in use, is not a store, is damaged,
                or cannot be opened. It was not changed.
        """
        if self._file is not None:
            raise ConfigurationError(f"{self.path} is in use by another client; give each client its own store")
        try:
            path = self.path.resolve()
            self._file = file = StoreFile(
                path, (client_id, server_fingerprint), synchronous=self._synchronous, history=self._wants_history
            )
        except (*_BROKEN, OSError) as error:
            raise ConfigurationError(f"{self.path} cannot be used as a store: {error}") from error
        self._position, self._changes = file.position, file.changes
        self._last_report = file.last_report
        self._recorder = file.recorder
        self._checkpointer = Checkpointer(path)
        self._thread = threading.get_ident()
        self._process = os.getpid()
        self._is_behind = False

    @property
    def position(self) -> int | None:
        """See :attr:`~cryptoproto.client.store.Store.position`."""
        return self._position

    def outbox(self) -> list[OutboxEntry]:
        """See :meth:`~cryptoproto.client.store.Store.outbox`."""
        stored = [Put(*row) for row in self._read(_OUTBOX)]
        return [
            OutboxEntry(
                key=put.key,
                kind=cast("OutboxKind", put.kind),
                payload=put.payload,
                created_ns=put.created_ns,
                client_order_id=put.client_order_id,
                sequence=put.sequence,
            )
            for put in self._changes.outbox(stored)
        ]

    def watch(self, handling: Callable[[], int | None]) -> None:
        """See :meth:`~cryptoproto.client.store.Store.watch`."""
        self._handling = handling

    def advance(self, transaction_id: int) -> None:
        """See :meth:`~cryptoproto.client.store.Store.advance`.

        Raises:
            ConfigurationError: *transaction_id* does not fit into a signed 64-bit integer.
        """
        if transaction_id not in INT64:
            raise ConfigurationError("the position does not fit into a signed 64-bit integer; it was not changed")
        if self._position is None or transaction_id > self._position:
            self._position = transaction_id
            self._is_behind = True

    def put(self, entry: OutboxEntry) -> int:
        """See :meth:`~cryptoproto.client.store.Store.put`.

        Raises:
            ConfigurationError: a :meth:`transaction` is open; its changes could still be undone. Or a value has the
                wrong type, or a number does not fit into a signed 64-bit integer.
            StoreError: the entry could not be written.
        """
        if self._in_transaction:
            raise ConfigurationError(
                "an order cannot be sent while store.transaction() is open: the transaction could be undone after the "
                "order was sent. Leave the transaction first, and do not await anything inside it"
            )
        key = self._changes.last_key + 1
        self._change(Put(key, entry.kind, entry.payload, entry.created_ns, entry.client_order_id, entry.sequence))
        entry.key = key
        return key

    def remove(self, key: int, settled_through: int) -> None:
        """See :meth:`~cryptoproto.client.store.Store.remove`; no :meth:`transaction` undoes it."""
        self._change(Settled(settled_through, key))

    @property
    def history(self) -> History | None:
        """What is recorded; ``None`` if the store keeps no history. A file is known to have one once it is open.

        Each reading flushes first, unless it is in another thread than the one that opened the store.
        """
        is_kept = self._wants_history or self._recorder is not None
        return History(self.path, before_reading=self._flush_here) if is_kept else None

    @property
    def recorded_through(self) -> int:
        """See :attr:`~cryptoproto.client.store.interface.RecordingStore.recorded_through`."""
        return -1 if self._recorder is None else self._recorder.through

    def _flush_here(self) -> None:
        if self._thread == threading.get_ident() and self._process == os.getpid():
            self.flush()

    def record(self, events: list[Event]) -> bool:
        """See :meth:`~cryptoproto.client.store.interface.RecordingStore.record`."""
        if self._recorder is None:
            return False
        self._recorder.record(events)
        return True

    def record_balances(self, transaction_id: int, balances: Mapping[str, Balance]) -> None:
        """See :meth:`~cryptoproto.client.store.interface.RecordingStore.record_balances`."""
        if self._recorder is not None:
            self._recorder.record_balances(transaction_id, balances, time.time_ns() // 1000)

    @property
    def settled_through(self) -> int:
        """See :attr:`~cryptoproto.client.store.Store.settled_through`."""
        return self._changes.settled_through

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        """See :meth:`~cryptoproto.client.store.Store.put_late_report`; no :meth:`transaction` undoes it."""
        number = self._last_report + 1
        self._change(Settled(settled_through, key, number, report))
        self._last_report = number
        return number

    def late_reports(self) -> list[tuple[int, bytes]]:
        """See :meth:`~cryptoproto.client.store.Store.late_reports`."""
        rows = self._read("SELECT key, report FROM cryptoproto_late_report ORDER BY key")
        return self._changes.reports(rows)

    def remove_late_report(self, key: int) -> None:
        """See :meth:`~cryptoproto.client.store.Store.remove_late_report`; no :meth:`transaction` undoes it."""
        self._change(ReportRead(key))

    def flush(self) -> None:
        """Make the position durable. While a :meth:`transaction` is open, its end does that.

        Raises:
            StoreError: the position could not be written; the next call tries again.
        """
        if self._in_transaction:
            return
        recorder = self._recorder
        if self._is_behind or self._changes.are_there or (recorder is not None and recorder.is_behind):
            file = self._open()
            with self._undone_on_failure(file.connection):
                self._begin(file.connection)
                self._commit(file, self._position)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change your own tables and the position together, or neither.

        ::

            async for event in client.events():
                with store.transaction() as db:
                    db.execute("INSERT INTO fills VALUES (?, ?)", (event.transaction_id, ...))

        At the end of the block, the changes are committed together with the position of the event that is being
        handled. After an exception they are undone, the position stays, and the event is delivered again after a
        restart. So each event takes effect exactly once. Use it once for each event, in the task that handles it,
        without ``await`` inside the block. Between events it is an ordinary transaction, for example to create tables.

        Errors of your own statements are raised as they are (:class:`sqlite3.Error`).

        Raises:
            ConfigurationError: the transaction was ended inside the block (``commit()``, ``executescript()``), another
                one is open, or the store is not open.
            StoreError: the changes could not be committed, and were undone.
        """
        file = self._open()
        connection = file.connection
        if self._in_transaction:
            raise ConfigurationError("another store.transaction() is open; one at a time")
        with self._undone_on_failure(connection):
            self._begin(connection)
        self._in_transaction = True
        try:
            yield connection
            if not connection.in_transaction:
                raise ConfigurationError(
                    "the transaction was ended inside the block, by commit(), rollback() or executescript(); "
                    "store.transaction() commits at the end of the block"
                )
            self._commit_with_position(file)
        finally:
            self._in_transaction = False
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """See :meth:`~cryptoproto.client.store.Store.close`.

        Raises:
            StoreError: the last group of positions could not be written, and the file was closed; or this is not the
                thread that opened the store.
        """
        if self._file is None:
            return
        try:
            if self._process == os.getpid():
                self.flush()
        finally:
            if self._process == os.getpid():
                self._checkpointer.close()
            try:
                self._file.close(keep_log=self._process != os.getpid() or self._changes.are_there)
            except sqlite3.Error as error:
                raise StoreError(f"cannot close {self.path}: {error}") from error
            self._file = None

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}, {'closed' if self._file is None else 'open'} at {self._position}>"

    def _change(self, change: Change) -> None:
        """Write *change* to the log; the tables have it with the next commit."""
        file = self._open()
        check(change)
        if self._thread != threading.get_ident():
            raise StoreError(f"cannot write to {self.path}: it can only be used in the thread that opened it")
        if file.log.length >= _LOG_LENGTH:
            self.flush()
        try:
            file.log.append(change)
        except OSError as error:
            raise StoreError(f"cannot write to {file.log.path}: {error.strerror}") from error
        self._changes.add(change)

    def _begin(self, connection: sqlite3.Connection) -> None:
        with self._checkpointer.writing:  # once begun, SQLite keeps others from writing
            connection.execute("BEGIN IMMEDIATE")

    def _commit_with_position(self, file: StoreFile) -> None:
        position, handling = self._position, self._handling()
        if handling is not None and (position is None or handling > position):
            position = handling
        try:
            self._commit(file, position)
        except sqlite3.Error as error:
            raise StoreError(f"cannot write to {self.path}: {error}") from error
        self._position = position

    def _commit(self, file: StoreFile, position: int | None) -> None:
        """End the open transaction, with the position, and the history and the outcomes that belong to it."""
        connection, recorder, changes = file.connection, file.recorder, self._changes
        events = 0 if recorder is None else recorder.write(connection)
        changes.write(connection, has_history=recorder is not None)
        connection.execute(
            "UPDATE cryptoproto_store SET position = ?, settled_through = ?, last_key = ?, log_number = ?",
            (position, changes.settled_through, changes.last_key, file.log.number),
        )
        connection.execute("COMMIT")
        if recorder is not None:
            recorder.committed()
        changes.written()
        file.log.begin_anew()
        self._is_behind = False
        self._checkpointer.count_commit(events)

    @contextmanager
    def _undone_on_failure(self, connection: sqlite3.Connection) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # of any kind: while a transaction is open, every later one would fail
            if connection.in_transaction:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"cannot write to {self.path}: {error}") from error
            raise

    def _read(self, statement: str) -> list[Any]:
        try:
            return self._open().connection.execute(statement).fetchall()
        except _BROKEN as error:
            raise StoreError(f"cannot read {self.path}: {error}") from error

    def _open(self) -> StoreFile:
        if self._file is None:
            raise ConfigurationError(f"the store {self.path} is not open; a client opens and closes it")
        if self._process != os.getpid():
            raise ConfigurationError(f"{self.path} was opened before a fork; open it in the process that uses it")
        return self._file
