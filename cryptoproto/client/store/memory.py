"""A store in memory."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ...exceptions import ConfigurationError
from .interface import OutboxEntry

__all__ = ["MemoryStore"]


class MemoryStore:
    """A store that lasts as long as its process. The next client that uses it continues where the last one stopped.

    Attributes:
        position: see :attr:`Store.position`.
        settled_through: see :attr:`Store.settled_through`.
    """

    commit_every = 1024

    def __init__(self) -> None:
        self._owner: tuple[str, str] | None = None
        self._is_open = False
        self.position: int | None = None
        self._outbox: dict[int, OutboxEntry] = {}
        self._late_reports: dict[int, bytes] = {}
        self._last_key = 0
        self.settled_through: int = -1

    def open(self, client_id: str, server_fingerprint: str) -> None:
        """See :meth:`Store.open`."""
        if self._is_open:
            raise ConfigurationError("this store is in use by another client; give each client its own store")
        owner = (client_id, server_fingerprint)
        if self._owner not in (None, owner):
            raise ConfigurationError(f"this store belongs to {_owner(self._owner)}, not to {_owner(owner)}")
        self._owner = owner
        self._is_open = True

    def outbox(self) -> list[OutboxEntry]:
        """See :meth:`Store.outbox`."""
        return [msgspec.structs.replace(entry) for entry in self._outbox.values()]

    def watch(self, handling: Callable[[], int | None]) -> None:
        """See :meth:`Store.watch`; does nothing here."""

    def advance(self, transaction_id: int) -> None:
        """See :meth:`Store.advance`."""
        if self.position is None or transaction_id > self.position:
            self.position = transaction_id

    def put(self, entry: OutboxEntry) -> int:
        """See :meth:`Store.put`."""
        self._last_key += 1
        entry.key = self._last_key
        self._outbox[entry.key] = msgspec.structs.replace(entry)
        return entry.key

    def remove(self, key: int, settled_through: int) -> None:
        """See :meth:`Store.remove`."""
        self._outbox.pop(key, None)
        self.settled_through = max(self.settled_through, settled_through)

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        """See :meth:`Store.put_late_report`."""
        if key is not None:
            self.remove(key, settled_through)
        self._last_key += 1
        self._late_reports[self._last_key] = report
        return self._last_key

    def late_reports(self) -> list[tuple[int, bytes]]:
        """See :meth:`Store.late_reports`."""
        return list(self._late_reports.items())

    def remove_late_report(self, key: int) -> None:
        """See :meth:`Store.remove_late_report`."""
        self._late_reports.pop(key, None)

    def flush(self) -> None:
        """See :meth:`Store.flush`; does nothing here."""

    def close(self) -> None:
        """See :meth:`Store.close`."""
        self._is_open = False


def _owner(owner: tuple[str, str] | None) -> str:
    client_id, fingerprint = owner or ("", "")
    return f"client {client_id!r} at the exchange with the key {fingerprint}"
