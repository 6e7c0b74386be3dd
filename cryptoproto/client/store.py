"""Where a client keeps its position and its outbox: the interface, the one in memory, and how to get one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from ..exceptions import ConfigurationError
from .outbox import OutboxEntry, OutboxKind
from .sqlite_store import SqliteStore

__all__ = ["MemoryStore", "OutboxEntry", "OutboxKind", "SqliteStore", "Store", "open_store"]


@runtime_checkable
class Store(Protocol):
    """What a client remembers. All methods are for one thread and return at once."""

    def open(self, client_id: str, server_fingerprint: str) -> None:
        """Get ready for one client at one exchange, to which the store belongs from its first use on.

        Raises:
            ConfigurationError: it belongs to another client or exchange, is in use, or cannot be used.
        """

    @property
    def position(self) -> int | None:
        """The highest transaction id that was advanced to; ``None`` before the first."""

    def outbox(self) -> list[OutboxEntry]:
        """What is unconfirmed, in the order in which it was put."""

    @property
    def commit_every(self) -> int:
        """After how many events at the most the position is to be stored; sooner from a timer."""

    def watch(self, handling: Callable[[], int | None]) -> None:
        """*handling* tells which event the user's code has been given and is not done with, by its transaction id.

        This is what lets a store commit the position together with what the user makes of the event. It gives
        ``None`` where there is none: between events, and where the user's code has failed.
        """

    def advance(self, transaction_id: int) -> None:
        """All events up to this transaction id are done with. Never goes backwards; :meth:`flush` makes it durable."""

    def put(self, entry: OutboxEntry) -> int:
        """Add *entry*, give it its key, and return that. Durable when the call returns."""

    def update(self, key: int, *, sequence: int) -> None:
        """The entry was sent with *sequence*. Without effect where it is gone: events can be that fast."""

    def remove(self, key: int, settled_through: int) -> None:
        """The outcome of the entry is known, from the events up to *settled_through*. Keeps both, or neither."""

    @property
    def settled_through(self) -> int:
        """The highest transaction id from which an outcome was concluded, -1 before the first.

        The position may be behind it. Events up to here that are delivered again settle nothing: they have had their
        effect, and a rejection without a client order id would be taken for that of another order.
        """

    def flush(self) -> None:
        """Make the position durable."""

    def close(self) -> None:
        """Flush, and let go of everything. Idempotent; the store can be opened again."""


class MemoryStore:
    """A store that lives as long as its process; a client that gets it again goes on where the last one was."""

    commit_every = 1024

    def __init__(self) -> None:
        self._owner: tuple[str, str] | None = None
        self._is_open = False
        self._position: int | None = None
        self._outbox: dict[int, OutboxEntry] = {}
        self._last_key = 0
        self._settled_through = -1

    def open(self, client_id: str, server_fingerprint: str) -> None:
        """See :meth:`Store.open`."""
        if self._is_open:
            raise ConfigurationError("this store is in use by another client; give each a store of its own")
        owner = (client_id, server_fingerprint)
        if self._owner not in (None, owner):
            raise ConfigurationError(f"this store belongs to {_owner(self._owner)}, not to {_owner(owner)}")
        self._owner = owner
        self._is_open = True

    @property
    def position(self) -> int | None:
        """See :attr:`Store.position`."""
        return self._position

    def outbox(self) -> list[OutboxEntry]:
        """See :meth:`Store.outbox`."""
        return [msgspec.structs.replace(entry) for entry in self._outbox.values()]

    def watch(self, handling: Callable[[], int | None]) -> None:
        """See :meth:`Store.watch`; without effect here."""

    def advance(self, transaction_id: int) -> None:
        """See :meth:`Store.advance`."""
        if self._position is None or transaction_id > self._position:
            self._position = transaction_id

    def put(self, entry: OutboxEntry) -> int:
        """See :meth:`Store.put`."""
        self._last_key += 1
        entry.key = self._last_key
        self._outbox[entry.key] = msgspec.structs.replace(entry)
        return entry.key

    def update(self, key: int, *, sequence: int) -> None:
        """See :meth:`Store.update`."""
        entry = self._outbox.get(key)
        if entry is not None:
            entry.sequence = sequence

    def remove(self, key: int, settled_through: int) -> None:
        """See :meth:`Store.remove`."""
        self._outbox.pop(key, None)
        self._settled_through = max(self._settled_through, settled_through)

    @property
    def settled_through(self) -> int:
        """See :attr:`Store.settled_through`."""
        return self._settled_through

    def flush(self) -> None:
        """See :meth:`Store.flush`; without effect here."""

    def close(self) -> None:
        """See :meth:`Store.close`."""
        self._is_open = False


def open_store(store: str | os.PathLike[str] | Store | None) -> Store:
    """The store that *store* stands for: a path for :class:`SqliteStore`, ``None`` for :class:`MemoryStore`.

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


def _owner(owner: tuple[str, str] | None) -> str:
    client_id, fingerprint = owner or ("", "")
    return f"client {client_id!r} at the exchange with the key {fingerprint}"
