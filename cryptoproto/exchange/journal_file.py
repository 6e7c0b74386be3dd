"""The file of a journal: created atomically, used by one process, written in groups, read in batches."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
from array import array
from collections.abc import Iterator
from typing import Final
from zlib import compress

import msgspec

from ..exceptions import ConfigurationError, JournalError
from ..file_lock import FileInUse, FileLock
from ..keys import PrivateKey
from ..messages import MALFORMED
from ..private_file import write_private
from .journal_schema import (
    APPLICATION_ID,
    READ_ANCHOR,
    READ_CHAIN,
    READ_EVENTS,
    SCHEMA,
    SCHEMA_VERSION,
    WRITE_BATCH,
    Batch,
    EventRow,
    Head,
    SnapshotRow,
    event_checksum,
    row_checksum,
)
from .ledger import Transaction

__all__ = ["BROKEN", "JournalFile", "check_file", "create", "from_bytes", "lock_journal"]

BROKEN: Final = (sqlite3.Error, UnicodeDecodeError)
"""Raised for a damaged file: the second if SQLite's message about the damage is damaged, too."""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_CHECKPOINT_PAGES: Final = 4000  # 16 MB of log: large enough that checkpoints are rare, small enough to be read at once
_KEPT_SNAPSHOTS: Final = 2
_EVENTS: Final = msgspec.json.Decoder(list[tuple[int, int, str, int]])
_encode: Final = msgspec.json.Encoder().encode


class JournalFile:
    """An open journal.

    Commits survive the end of the process and the loss of power: the write-ahead log is synced before a commit returns
    (``synchronous=FULL``; ``NORMAL`` would sync at checkpoints only).

    Args:
        path: the file, which must exist.

    Raises:
        ConfigurationError: it is not a journal, has another version, or can be read by other users.
        JournalError: it is damaged.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        check_file(path)
        self.writer: sqlite3.Connection = self._connect()
        try:
            self.writer.executescript(WRITE_BATCH)
            self.reader: sqlite3.Connection = self._connect()
            self.reader.execute("PRAGMA query_only = ON")
        except BROKEN as error:
            self.writer.close()
            raise self.damaged(error) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")  # macOS, where fsync alone does not reach the disk
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute("PRAGMA busy_timeout = 5000")
        except BROKEN as error:
            connection.close()
            raise self.damaged(error) from error
        return connection

    def damaged(self, what: object) -> JournalError:
        """The error for a journal with damaged contents."""
        return JournalError(self.path, f"the journal is damaged and was not changed: {what}")

    def write(self, batch: Batch) -> None:
        """Commit *batch*; it is durable when the call returns.

        Raises:
            sqlite3.Error: it cannot be written.
        """
        rows = (_encode(batch.commands).decode(), _encode(batch.events).decode())
        if not batch.clients and batch.snapshot is None:
            self.writer.execute("INSERT INTO batch VALUES (?, ?)", rows)
            return
        with self._transaction():
            self.writer.executemany("INSERT INTO clients VALUES (?, ?, ?, ?)", batch.clients)
            self.writer.execute("INSERT INTO batch VALUES (?, ?)", rows)
            if batch.snapshot is not None:
                _write_snapshot(self.writer, batch.snapshot)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self.writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.writer.execute("COMMIT")
        finally:
            if self.writer.in_transaction:
                self.writer.execute("ROLLBACK")

    def read(self, client: int, after: int, upto: int, limit: int) -> list[Transaction]:
        """At most *limit* of a client's transactions with ids above *after* and up to *upto*, in order.

        Args:
            client: its number.
            after: where to start.
            upto: the id of an existing transaction of the client.
            limit: how many to read at most.

        Raises:
            JournalError: they are damaged or incomplete, or cannot be read.
        """
        try:
            anchor = self.reader.execute(READ_ANCHOR, (client, after)).fetchone()
            (found,) = self.reader.execute(READ_EVENTS, (client, after, upto, limit)).fetchone()
            rows = _EVENTS.decode(found)
        except (*BROKEN, *MALFORMED) as error:
            raise self.damaged(error) from error
        before: int = client if anchor is None else anchor[0]
        transactions = []
        for transaction_id, time_us, text, checksum in rows:
            payload = text.encode()
            if event_checksum(before, transaction_id, time_us, payload) != checksum:
                raise self.damaged(_broken_chain(client, transaction_id))
            before = checksum
            transactions.append(Transaction(transaction_id, time_us / 1_000_000, payload))
        if len(rows) < limit and (not rows or rows[-1][0] != upto):
            raise self.damaged(f"transaction {upto} of client {client} is missing")
        return transactions

    def events(self, client: int, after: int) -> Iterator[EventRow]:
        """Check the chain of all events of a client, and yield those with ids above *after*.

        Raises:
            JournalError: an event is damaged, missing or misplaced.
        """
        before = client
        for transaction_id, time_us, payload, checksum in self.writer.execute(READ_CHAIN, (client,)):
            if event_checksum(before, transaction_id, time_us, payload) != checksum:
                raise self.damaged(_broken_chain(client, transaction_id))
            before = checksum
            if transaction_id > after:
                yield client, transaction_id, time_us, payload.decode(), checksum

    def close(self) -> None:
        """Move everything from the log into the file, and close it."""
        self.reader.close()
        with contextlib.suppress(sqlite3.Error):  # what is in the log is durable there
            self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.writer.close()


def _broken_chain(client: int, transaction_id: int) -> str:
    return f"transaction {transaction_id} of client {client} is changed, or the one before it is missing or misplaced"


def _write_snapshot(connection: sqlite3.Connection, snapshot: SnapshotRow) -> None:
    """Write a snapshot, and delete old ones except the very first, from which all commands can be repeated."""
    head = snapshot.head
    engine = compress(snapshot.engine, 1)
    sequences, chains = _encode(snapshot.sequences).decode(), _encode(head.chains).decode()
    used = snapshot.used_before + sum(map(len, snapshot.used.values()))
    connection.execute("DELETE FROM snapshots WHERE number > ?", (snapshot.follows,))
    connection.execute("DELETE FROM used_client_order_ids WHERE number > ?", (snapshot.follows,))
    connection.execute(
        "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            head.number,
            head.transaction_id,
            head.checksum,
            sequences,
            chains,
            engine,
            used,
            row_checksum(sequences, chains, engine, used),
        ),
    )
    for client, ids in snapshot.used.items():
        raw = _as_bytes(ids)
        connection.execute(
            "INSERT INTO used_client_order_ids VALUES (?, ?, ?, ?)",
            (head.number, client, raw, row_checksum(head.number, client, raw)),
        )
    connection.execute(
        "DELETE FROM snapshots WHERE number > 0 AND number NOT IN "
        "(SELECT number FROM snapshots ORDER BY number DESC LIMIT ?)",
        (_KEPT_SNAPSHOTS,),
    )


def _as_bytes(ids: array[int]) -> bytes:
    """Client order ids as they are stored."""
    if sys.byteorder == "big":
        ids = array("q", ids)
        ids.byteswap()
    return ids.tobytes()


def from_bytes(raw: bytes) -> array[int]:
    """Client order ids as they were stored.

    Raises:
        ValueError: *raw* does not hold whole numbers.
    """
    ids = array("q")
    ids.frombytes(raw)
    if sys.byteorder == "big":
        ids.byteswap()
    return ids


def create(path: str, private_key: PrivateKey, engine: bytes) -> None:
    """Create the journal of a new exchange, mode 0600, in one step.

    Raises:
        ConfigurationError: the name is taken, or the file cannot be created.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        pem = private_key.to_pem().decode()
        connection.execute("INSERT INTO exchange VALUES (?, ?)", (pem, row_checksum(pem)))
        _write_snapshot(connection, SnapshotRow(Head(), {}, engine))
        content = connection.serialize()
    finally:
        connection.close()
    write_private(path, content, what="journal", overwrite=False)


def check_file(path: str) -> None:
    """Check mode and first bytes of a journal, without SQLite, which would start to repair a database that is not ours.

    Raises:
        ConfigurationError: it is not a journal, has another version, or can be read by other users.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{path}: the journal cannot be read: {error.strerror}") from error
    if not header.startswith(_MAGIC) or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise ConfigurationError(f"{path}: this file is not a journal of an exchange, and was not changed")
    version = int.from_bytes(header[60:64], "big")
    if version != SCHEMA_VERSION:
        raise ConfigurationError(
            f"{path}: the journal has version {version}; this package reads version {SCHEMA_VERSION}. "
            f"Start a new journal, or use the version of the package that wrote it"
        )
    if mode & 0o077:
        raise ConfigurationError(
            f"{path}: mode {mode & 0o777:04o} gives other users access to the exchange's private key; "
            f"run: chmod 600 {path}"
        )


def lock_journal(path: str) -> FileLock:
    """Take the exclusive right to use the journal *path*; it ends with the process, however that ends.

    Raises:
        ConfigurationError: another exchange uses the file, under this name or another; or the lock cannot be made.
    """
    try:
        return FileLock(path)
    except FileInUse as error:
        raise ConfigurationError(f"{path}: the journal is in use by another exchange ({error.user})") from None
    except NotImplementedError as error:
        raise ConfigurationError(f"{path}: a journal cannot be used: {error}") from None
    except FileNotFoundError as error:
        folder = os.path.dirname(path)
        raise ConfigurationError(f"{path}: the journal cannot be created: {error.strerror}: {folder}") from error
    except OSError as error:
        raise ConfigurationError(f"{path}-lock: cannot be opened: {error.strerror}") from error
