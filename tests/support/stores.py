"""Stores of one client, with entries for their outbox."""

from __future__ import annotations

import sqlite3
from typing import Any

from cryptoproto.client.store.interface import OutboxEntry
from cryptoproto.client.store.sqlite import SqliteStore

__all__ = ["ALICE", "entry", "stored_position"]

ALICE = ("alice", "aa:bb")


def entry(number: int = 1, **more: Any) -> OutboxEntry:
    return OutboxEntry(kind="place", payload=b'{"n":%d}' % number, created_ns=number, **more)


def stored_position(store: SqliteStore) -> int | None:
    """The position in the file, which may be behind that of the store."""
    connection = sqlite3.connect(store.path)
    position: int | None = connection.execute("SELECT position FROM cryptoproto_store").fetchone()[0]
    connection.close()
    return position
