"""Stores for a client's position and outbox: the interface, one in memory, one in SQLite."""

from __future__ import annotations

import os

from ...exceptions import ConfigurationError
from .interface import OutboxEntry, OutboxKind, RecordingStore, ReservingStore, Store
from .memory import MemoryStore
from .sqlite import SqliteStore

__all__ = [
    "MemoryStore",
    "OutboxEntry",
    "OutboxKind",
    "RecordingStore",
    "ReservingStore",
    "SqliteStore",
    "Store",
    "open_store",
]


def open_store(store: str | os.PathLike[str] | Store | None) -> Store:
    """The store for the argument *store*: a path gives a :class:`SqliteStore`, ``None`` a :class:`MemoryStore`.

    Raises:
        ConfigurationError: it is none of these.
    """
    if store is None:
        return MemoryStore()
    if isinstance(store, str | os.PathLike):
        return SqliteStore(store)
    if isinstance(store, Store):
        return store
    raise ConfigurationError(f"store={store!r} must be a path, a Store, or None for one in memory")
