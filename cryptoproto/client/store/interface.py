"""What a client remembers: the interface of a store, and the entry of its outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

__all__ = ["OutboxEntry", "OutboxKind", "Store"]

OutboxKind: TypeAlias = Literal["place", "cancel", "cancel_all"]
"""What an unconfirmed message asks the exchange to do."""


class OutboxEntry(msgspec.Struct, kw_only=True):
    """One unconfirmed message.

    Attributes:
        kind: what it asks for.
        payload: the message as JSON.
        created_ns: when it was handed over, in unix nanoseconds.
        client_order_id: of the order that it places or cancels, ``None`` where it has none.
        sequence: the sequence that it was sent with, ``None`` until it was.
        key: the store's number for it: set by ``put()``, never used twice, the same after a restart.
    """

    kind: OutboxKind
    payload: bytes
    created_ns: int
    client_order_id: int | None = None
    sequence: int | None = None
    key: int | None = None


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

    def remove(self, key: int, settled_through: int) -> None:
        """The outcome of the entry is known, from the events up to *settled_through*. Keeps both, or neither."""

    @property
    def settled_through(self) -> int:
        """The highest transaction id from which an outcome was concluded, -1 before the first.

        The position may be behind it. Events up to here that are delivered again settle nothing: they have had their
        effect, and a rejection without a client order id would be taken for that of another order.
        """

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        """Add *report*, and remove the outbox entry *key* if there is one, as :meth:`remove` does; both or neither.

        Returns the key of the report. Durable when the call returns.
        """

    def late_reports(self) -> list[tuple[int, bytes]]:
        """The reports that nobody has read, with their keys, oldest first."""

    def remove_late_report(self, key: int) -> None:
        """A report was read."""

    def flush(self) -> None:
        """Make the position durable."""

    def close(self) -> None:
        """Flush, and let go of everything. Idempotent; the store can be opened again."""
