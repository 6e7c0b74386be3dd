"""The log of a store: changes of the outbox, each written to the file system before the call that makes it returns.

A change is one record, and costs one call to write. The store's tables take over many of them in one transaction, and
then the log begins anew at its start.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Annotated, Any, Final, TypeAlias
from zlib import crc32

import msgspec

from ...exceptions import ConfigurationError

__all__ = ["INT64", "Change", "OutboxLog", "Put", "ReportRead", "Settled", "changes_in", "check", "read_log"]

INT64: Final = range(-(2**63), 2**63)
"""SQLite's integers."""

_Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=INT64.start, le=INT64.stop - 1)]


class Put(msgspec.Struct, tag="put", array_like=True):
    """An entry was added."""

    key: _Integer
    kind: str
    payload: bytes
    created_ns: _Integer
    client_order_id: _Integer | None
    sequence: _Integer | None


class Settled(msgspec.Struct, tag="settled", array_like=True):
    """An entry was removed, a late report was added, or both."""

    settled_through: _Integer
    key: _Integer | None = None
    report_key: _Integer | None = None
    report: bytes = b""


class ReportRead(msgspec.Struct, tag="read", array_like=True):
    """A late report was removed."""

    key: _Integer


Change: TypeAlias = Put | Settled | ReportRead

_HEAD: Final = Struct("<II")  # length, and checksum of what follows
_NUMBER: Final = Struct("<Q")
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Change).decode
_sync: Final = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


def check(change: Change) -> None:
    """Check that *change* can be read again, and written to a table.

    Otherwise its record would count as damaged, and every later commit would fail.

    Raises:
        ConfigurationError: a value has the wrong type, or is too large.
    """
    try:
        _decode(_encode(change))
    except (ValueError, TypeError, OverflowError):
        fields = msgspec.structs.fields(change)
        faults = (_fault(field.name, getattr(change, field.name), field.type) for field in fields)
        raise ConfigurationError(f"{next(filter(None, faults))}; nothing was stored") from None


def _fault(name: str, value: Any, kind: Any) -> str | None:
    """Why a value cannot be stored; ``None`` if it can."""
    if isinstance(value, int) and value not in INT64:
        return f"{name} does not fit into a signed 64-bit integer"
    try:
        msgspec.msgpack.decode(_encode(value), type=kind)
    except (ValueError, TypeError) as error:
        return f"{name} cannot be stored: {error}"
    return None


class OutboxLog:
    """An empty log in the file *path*, which is created with mode 0600; what was in it is gone.

    Records are numbered without gaps. Each checksum begins with *identity*, so that records of other logs, and those
    of an earlier round that the present one has not overwritten yet, are not taken for its own.

    Args:
        path: the file.
        identity: 32 random bits.
        sync: wait for the disk with each record.

    Attributes:
        length: how many records there are since the log began anew.
        number: that of the last record.

    Raises:
        OSError: the file cannot be created.
    """

    __slots__ = ("_descriptor", "_end", "_identity", "_is_dirty", "_sync", "length", "number", "path")

    def __init__(self, path: Path, identity: int, *, sync: bool) -> None:
        self.path: Path = path
        self.number: int = 0
        self.length: int = 0
        self._identity = identity
        self._end = 0
        self._sync = sync
        self._is_dirty = False  # whether there may be a record behind the end whose writing has failed
        self._descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)
        if sync:
            try:
                _sync_folder(path.parent)
            except OSError:
                self.close()
                raise

    def append(self, change: Change) -> None:
        """Write a record. It survives the end of the process, and with ``sync`` a loss of power.

        Raises:
            OSError: it could not be written.
        """
        body = _NUMBER.pack(self.number + 1) + _encode(change)
        record = _HEAD.pack(len(body), crc32(body, self._identity)) + body
        try:
            if self._is_dirty:
                os.ftruncate(self._descriptor, self._end)
                self._is_dirty = False
            written = os.pwrite(self._descriptor, record, self._end)
            while written < len(record):  # if the disk is full, the next call raises
                written += os.pwrite(self._descriptor, record[written:], self._end + written)
            if self._sync:
                _sync(self._descriptor)
        except OSError:
            self._is_dirty = True
            raise
        self._end += len(record)
        self.number += 1
        self.length += 1

    def begin_anew(self) -> None:
        """The store's tables have everything up to :attr:`number`."""
        self._end = 0
        self.length = 0
        if self._is_dirty:
            # Or a record that counts as not written could be found behind those that the tables have.
            with suppress(OSError):  # the next record tries again
                os.ftruncate(self._descriptor, 0)
                self._is_dirty = False

    def close(self) -> None:
        """Close the file. Its records stay there."""
        os.close(self._descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the creation of a file in *folder* durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_log(path: Path, identity: int, after: int) -> list[Change]:
    """The changes in the log *path*, in order, without those up to number *after*. It need not exist.

    A record that was not written completely ends the log: the call that made it has not returned.

    Raises:
        OSError: the file cannot be read.
        ValueError: a record is sound, but not of this version.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    return [change for number, change in changes_in(data, identity) if number > after]


def changes_in(data: bytes, identity: int) -> Iterator[tuple[int, Change]]:
    """The numbers and changes of the records that *data* begins with.

    Raises:
        ValueError: a record is sound, but not of this version.
    """
    start, previous = 0, None
    while len(data) - start >= _HEAD.size:
        length, checksum = _HEAD.unpack_from(data, start)
        body = data[start + _HEAD.size : start + _HEAD.size + length]
        if len(body) < length or length < _NUMBER.size or crc32(body, identity) != checksum:
            return
        (number,) = _NUMBER.unpack_from(body)
        if previous is not None and number != previous + 1:
            return  # of an earlier round
        yield number, _decode(body[_NUMBER.size :])
        previous = number
        start += _HEAD.size + length
