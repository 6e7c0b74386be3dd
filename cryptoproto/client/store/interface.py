"""The interface of a store, and the entry of its outbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from ...connection.event import Event
from ...history import History
from ...messages import AsDict, Balance

__all__ = ["OutboxEntry", "OutboxKind", "RecordingStore", "ReservingStore", "Store"]

OutboxKind: TypeAlias = Literal["place", "cancel", "cancel_all"]
"""What an unconfirmed message asks the exchange to do."""


class OutboxEntry(AsDict, msgspec.Struct, kw_only=True):
    """One message whose outcome is not known yet.

    Attributes:
        kind: what it asks for.
        payload: the message as JSON.
        created_ns: when the client was called, in unix nanoseconds.
        client_order_id: of the order that it places or cancels; ``None`` if there is none.
        sequence: the sequence that it was sent with; ``None`` until it was sent.
        key: the store's number for it. Set by ``put()``, never used twice, the same after a restart.
    """

    kind: OutboxKind
    payload: bytes
    created_ns: int
    client_order_id: int | None = None
    sequence: int | None = None
    key: int | None = None


@runtime_checkable
class Store(Protocol):
    """What a client keeps across connections and restarts. Call all methods from one thread; none of them waits."""

    def open(self, client_id: str, server_fingerprint: str) -> None:
        """Prepare the store for one client at one exchange. It belongs to them from its first use on.

        Raises:
            ConfigurationError: it belongs to another client or exchange, is in use, or cannot be used.
        """

    @property
    def position(self) -> int | None:
        """The highest transaction id passed to :meth:`advance`; ``None`` before the first."""

    def outbox(self) -> list[OutboxEntry]:
        """The entries, in the order in which they were added."""

    @property
    def commit_every(self) -> int:
        """After how many events, at most, the position is stored; a timer may store it earlier."""

    def watch(self, handling: Callable[[], int | None]) -> None:
        """Set a function that returns the transaction id of the event that the user's code is handling.

        With it, a store can commit the position together with the user's own changes. The function returns ``None``
        between events, and after the user's code has failed.
        """

    def advance(self, transaction_id: int) -> None:
        """All events up to this transaction id were handled. Lower ids are ignored. :meth:`flush` makes it durable."""

    def put(self, entry: OutboxEntry) -> int:
        """Add *entry*, set its key, and return the key. Durable when the call returns."""

    def remove(self, key: int, settled_through: int) -> None:
        """The outcome of an entry is known from the events up to *settled_through*. Stores both changes, or neither."""

    @property
    def settled_through(self) -> int:
        """The highest transaction id that an outcome was derived from, -1 before the first.

        It may be higher than the position. Events up to here that are delivered again decide no outcome: they did so
        before, and a rejection without a client order id would now be attributed to another order.
        """

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        """Add *report*, and remove the outbox entry *key*, if given, as :meth:`remove` does; both or neither.

        Returns the key of the report. Durable when the call returns.
        """

    def late_reports(self) -> list[tuple[int, bytes]]:
        """The reports that were not read, with their keys, oldest first."""

    def remove_late_report(self, key: int) -> None:
        """A report was read."""

    def flush(self) -> None:
        """Make the position durable."""

    def close(self) -> None:
        """Flush and release everything. Idempotent. The store can be opened again."""


@runtime_checkable
class ReservingStore(Store, Protocol):
    """A store that cannot make an entry durable without waiting: :meth:`Store.put` only confirms what it reserved."""

    def reserve(self, entry: OutboxEntry) -> Awaitable[None]:
        """Make *entry* durable. It begins before this returns; await it to wait for the end.

        The entry is about to be put, with this sequence, unless another message takes the sequence.

        An entry of the same message that was reserved before is replaced.

        Raises:
            CryptoprotoError: the message must not be sent.
        """

    async def connected(self, last_sequence: int) -> None:
        """A new connection was opened, and nothing was sent on it: the exchange has seen everything up to a sequence.

        So what was reserved with a later one was not received. That can be seen only now: requests take the next ones.
        """


@runtime_checkable
class RecordingStore(Store, Protocol):
    """A store that can also keep a history; a custom store need not.

    What is recorded becomes durable together with the position, never later. It may be ahead of the position: events
    that are delivered again are recorded once.
    """

    @property
    def history(self) -> History | None:
        """What was recorded; ``None`` if the store keeps no history."""

    @property
    def recorded_through(self) -> int:
        """The last transaction in the history, -1 without one."""

    def record(self, events: list[Event]) -> bool:
        """*events* were received, in this order; returns whether there is something for :meth:`flush` to write.

        Raises:
            StoreError: they cannot be kept. None of them was recorded.
        """

    def record_balances(self, transaction_id: int, balances: Mapping[str, Balance]) -> None:
        """The exchange has stated *balances*, as they are after *transaction_id*."""
