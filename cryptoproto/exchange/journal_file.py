"""The file of a journal: made whole or not at all, held by one process, written in groups, read in batches."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zlib import compress

import msgspec

from ..exceptions import ConfigurationError, JournalError
from ..keys import PrivateKey
from .journal_schema import (
    APPLICATION_ID,
    READ_EVENTS,
    SCHEMA,
    SCHEMA_VERSION,
    WRITE_BATCH,
    Batch,
    Head,
    SnapshotRow,
    event_checksum,
    row_checksum,
)
from .ledger import Transaction

__all__ = ["BROKEN", "JournalFile", "JournalLock", "create", "from_bytes"]

BROKEN: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises for a damaged file: the second when its own words about the damage are damaged."""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_CHECKPOINT_PAGES: Final = 4000  # 16 MB of log: large enough that checkpoints are rare, small enough to be read at once
_KEPT_SNAPSHOTS: Final = 2
_EVENTS: Final = msgspec.json.Decoder(list[tuple[int, int, str, int]])
_encode: Final = msgspec.json.Encoder().encode


class JournalFile:
    """An open journal.

    Commits are durable against the end of the process and against the loss of power: the write-ahead log is synced
    before a commit returns (``synchronous=FULL``; ``NORMAL`` would sync at checkpoints alone).

    Args:
        path: the file, which exists.

    Raises:
        ConfigurationError: another process has it open, it is no journal, of another version, or open to others.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        _check_file(path)
        self.writer = self._connect()
        try:
            self.writer.executescript(WRITE_BATCH)
            self.reader = self._connect()
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
        """The error for a journal whose contents cannot be."""
        return JournalError(self.path, f"the journal is damaged and is left as it is: {what}")

    def write(self, batch: Batch) -> None:
        """Commit *batch*. Returns once it is durable.

        Raises:
            sqlite3.Error: it could not be written.
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
        """A client's transactions with ids above *after* and up to *upto*, in order, *limit* at the most.

        Raises:
            JournalError: they are damaged, or cannot be read.
        """
        try:
            (found,) = self.reader.execute(READ_EVENTS, (client, after, upto, limit)).fetchone()
            rows = sorted(_EVENTS.decode(found))
        except (*BROKEN, msgspec.DecodeError) as error:
            raise self.damaged(error) from error
        transactions = []
        for transaction_id, time_us, text, checksum in rows:
            payload = text.encode()
            if event_checksum(transaction_id, time_us, payload) != checksum:
                raise self.damaged(f"the checksum of transaction {transaction_id} is wrong")
            transactions.append(Transaction(transaction_id, time_us / 1_000_000, payload))
        return transactions

    def close(self) -> None:
        """Move everything from the log into the file, and close it."""
        self.reader.close()
        with contextlib.suppress(sqlite3.Error):  # what is in the log is durable there
            self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.writer.close()


def _write_snapshot(connection: sqlite3.Connection, snapshot: SnapshotRow) -> None:
    """Write a snapshot, and prune those before it but for the very first, which needs no other data to start from."""
    head = snapshot.head
    engine = compress(snapshot.engine, 1)
    sequences = _encode(snapshot.sequences).decode()
    used = snapshot.used_before + sum(map(len, snapshot.used.values()))
    connection.execute("DELETE FROM snapshots WHERE number > ?", (snapshot.follows,))
    connection.execute("DELETE FROM used_client_order_ids WHERE number > ?", (snapshot.follows,))
    connection.execute(
        "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            head.number,
            head.transaction_id,
            head.checksum,
            sequences,
            engine,
            used,
            row_checksum(sequences, engine, used),
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
    """Make the journal of a new exchange, mode 0600: in a file beside it, which then takes its name.

    Raises:
        ConfigurationError: there is a file of that name, or none can be made.
    """
    target = Path(path)
    try:
        descriptor, scratch = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent)
        try:
            os.close(descriptor)
            _fill(scratch, private_key, engine)
            os.link(scratch, target)  # unlike rename, fails if the name is taken
        finally:
            Path(scratch).unlink(missing_ok=True)
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except FileExistsError:
        raise ConfigurationError(f"{path}: exists already and is left as it is; choose another name") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: the journal cannot be made: {error.strerror or error}") from error
    except sqlite3.Error as error:
        raise ConfigurationError(f"{path}: the journal cannot be made: {error}") from error


def _fill(scratch: str, private_key: PrivateKey, engine: bytes) -> None:
    connection = sqlite3.connect(scratch, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        pem = private_key.to_pem().decode()
        connection.execute("INSERT INTO exchange VALUES (?, ?)", (pem, row_checksum(pem)))
        _write_snapshot(connection, SnapshotRow(Head(), {}, engine))
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _check_file(path: str) -> None:
    """Look at the first bytes without SQLite, which would at once begin to mend a database that is not ours."""
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{path}: the journal cannot be read: {error.strerror}") from error
    if not header.startswith(_MAGIC) or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise ConfigurationError(f"{path}: this file is no journal of an exchange, and is left as it is")
    version = int.from_bytes(header[60:64], "big")
    if version != SCHEMA_VERSION:
        raise ConfigurationError(f"{path}: the journal has version {version}, this is for version {SCHEMA_VERSION}")
    if mode & 0o007:
        raise ConfigurationError(
            f"{path}: mode {mode & 0o777:04o} lets every user of this machine at the exchange's private key; "
            f"run: chmod 600 {path}"
        )


class JournalLock:
    """The right to use a journal; ends with the process, however that ends.

    It is a file of its own beside the journal: closing any descriptor of the database would make the process lose
    the locks that SQLite holds on it (POSIX, ``fcntl``).

    Raises:
        ConfigurationError: another process has it, or the folder is not there.
    """

    def __init__(self, path: str) -> None:
        try:
            import fcntl  # here, so that an exchange in memory runs without it
        except ImportError:
            raise ConfigurationError("a journal needs the file locks of POSIX, which this system lacks") from None
        try:
            self._descriptor = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{path}-lock: cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(self._descriptor)
            raise ConfigurationError(f"{path}: the journal is in use by another exchange (process {holder})") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let others use the journal."""
        os.close(self._descriptor)
