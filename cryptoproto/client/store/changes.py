"""Changes of the outbox that the log has and the tables of the store do not have yet."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from ...history import ARCHIVE, ARCHIVE_ROW
from .outbox_log import Change, Put, Settled

__all__ = ["Changes"]

_INSERT: Final = (
    "INSERT INTO cryptoproto_outbox (key, kind, payload, created_ns, client_order_id, sequence) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)


class Changes:
    """What has to be written, and what it means for those who read the outbox before it is.

    An entry that comes and goes between two transactions is never written, except into a history.

    Args:
        last_key: the highest key that was ever used.
        settled_through: see :attr:`Store.settled_through <cryptoproto.Store.settled_through>`.

    Attributes:
        last_key: see above.
        settled_through: see above.
        are_there: whether there are any.
    """

    __slots__ = (
        "_archived", "_puts", "_read", "_removed", "_reports", "are_there", "last_key", "settled_through",
    )  # fmt: skip

    def __init__(self, last_key: int, settled_through: int) -> None:
        self.last_key: int = last_key
        self.settled_through: int = settled_through
        self.are_there: bool = False
        self.written()

    def add(self, change: Change) -> None:
        """The log has *change*, too."""
        self.are_there = True
        if isinstance(change, Put):
            self._puts[change.key] = change
            self.last_key = max(self.last_key, change.key)
        elif isinstance(change, Settled):
            self._settle(change)
        elif self._reports.pop(change.key, None) is None:
            self._read.add(change.key)

    def _settle(self, change: Settled) -> None:
        if change.report_key is not None:
            self._reports[change.report_key] = change.report
        if change.key is not None:
            put = self._puts.pop(change.key, None)
            if put is None:
                self._removed[change.key] = change.settled_through
            elif put.kind == "place":
                self._archived.append((put.key, put.created_ns, change.settled_through, put.payload))
        self.settled_through = max(self.settled_through, change.settled_through)

    def outbox(self, stored: list[Put]) -> list[Put]:
        """The outbox, of which its table has *stored*."""
        return [put for put in stored if put.key not in self._removed] + list(self._puts.values())

    def reports(self, stored: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """The late reports, of which their table has *stored*."""
        return [row for row in stored if row[0] not in self._read] + list(self._reports.items())

    def write(self, connection: sqlite3.Connection, *, has_history: bool) -> None:
        """Write everything in the open transaction of *connection*; :meth:`written` says that it was committed."""
        if not self.are_there:
            return
        if has_history:
            connection.executemany(ARCHIVE_ROW, self._archived)
            connection.executemany(ARCHIVE, ((through, key) for key, through in self._removed.items()))
        connection.executemany("DELETE FROM cryptoproto_outbox WHERE key = ?", ((key,) for key in self._removed))
        connection.executemany(_INSERT, map(msgspec.structs.astuple, self._puts.values()))
        connection.executemany("INSERT INTO cryptoproto_late_report VALUES (?, ?)", self._reports.items())
        connection.executemany("DELETE FROM cryptoproto_late_report WHERE key = ?", ((key,) for key in self._read))

    def written(self) -> None:
        """The tables have everything."""
        self.are_there = False
        self._puts: dict[int, Put] = {}
        self._removed: dict[int, int] = {}
        self._archived: list[tuple[int, int, int, bytes]] = []
        self._reports: dict[int, bytes] = {}
        self._read: set[int] = set()
