"""Stores of one client, with entries for their outbox, and a store that fails."""

from __future__ import annotations

import sqlite3
from typing import Any

import cryptoproto as cp
from cryptoproto.client.store.interface import OutboxEntry
from cryptoproto.client.store.sqlite import SqliteStore

__all__ = ["ALICE", "FullDisk", "entry", "stored_position"]

ALICE = ("alice", "aa:bb")


def entry(number: int = 1, **more: Any) -> OutboxEntry:
    return OutboxEntry(kind="place", payload=b'{"n":%d}' % number, created_ns=number, **more)


def stored_position(store: SqliteStore) -> int | None:
    """The position in the file, which may be behind that of the store."""
    connection = sqlite3.connect(store.path)
    position: int | None = connection.execute("SELECT position FROM cryptoproto_store").fetchone()[0]
    connection.close()
    return position


class FullDisk(cp.MemoryStore):
    """A store on a disk that can be full."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = False

    def _write(self) -> None:
        if self.is_full:
            raise cp.StoreError("the disk is full")

    def put(self, entry: Any) -> int:
        self._write()
        return super().put(entry)

    def remove(self, key: int, settled_through: int) -> None:
        self._write()
        super().remove(key, settled_through)

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        self._write()
        return super().put_late_report(report, key, settled_through)

    def flush(self) -> None:
        self._write()
