"""Writes history: keeps events until the store commits, and writes them in the transaction of the position."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from ..exceptions import StoreError
from ..messages import (
    Balance,
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderClosed,
    BuyOrderPlaced,
    InsufficientFunds,
    OwnTrade,
    SellOrderAmountChanged,
    SellOrderCancelled,
    SellOrderClosed,
    SellOrderPlaced,
    SetBalance,
    plain,
)

__all__ = ["ARCHIVE", "ARCHIVE_ROW", "Recordable", "Recorder"]

_KEPT: Final[frozenset[type[Any]]] = frozenset(
    (
        OwnTrade,
        SetBalance,
        BuyOrderPlaced,
        SellOrderPlaced,
        BuyOrderAmountChanged,
        SellOrderAmountChanged,
        BuyOrderCancelled,
        SellOrderCancelled,
        BuyOrderClosed,
        SellOrderClosed,
    )
)
_GROUP: Final = 512
"""How many events a row has at most, so that reading one row takes about a millisecond."""
_MAX_PENDING: Final = 65_536
"""How many events may wait while the disk is full."""
_LATEST_S: Final = 10**11

ARCHIVE: Final = (
    "INSERT OR IGNORE INTO cryptoproto_history_order "
    "SELECT key, created_ns / 1000, ?, CAST(payload AS TEXT) FROM cryptoproto_outbox WHERE key = ? AND kind = 'place'"
)
"""Copies an order out of the outbox, before it is deleted there. Parameters: what settled it, and its key."""


ARCHIVE_ROW: Final = "INSERT OR IGNORE INTO cryptoproto_history_order VALUES (?, ? / 1000, ?, CAST(? AS TEXT))"
"""The same for an order that was never written there. Parameters: its key, its time, what settled it, its payload."""


class Recordable(Protocol):
    """What is recorded: an :class:`~cryptoproto.Event`."""

    @property
    def transaction_id(self) -> int | None:
        """``None`` for a broadcast."""

    @property
    def timestamp(self) -> float | None:
        """When it happened at the exchange, in unix seconds."""

    @property
    def message(self) -> Any:
        """The typed message."""

    @property
    def received_ns(self) -> int:
        """When it was read here, in unix nanoseconds."""

    @property
    def raw(self) -> bytes:
        """The message as JSON."""


class Recorder:
    """The events and balances that are not written yet.

    An event takes part in nothing but an append. What is in a row is made when the row is written. A row is written
    once: events up to the last transaction that is recorded are left out, so replays are harmless.

    Attributes:
        through: the last transaction that is recorded, and committed.
    """

    __slots__ = ("_balances", "_events", "_written_through", "through")

    def __init__(self, through: int) -> None:
        self.through: int = through
        self._written_through = through
        self._events: list[Recordable] = []
        self._balances: list[tuple[int, int, str, str, str]] = []

    @property
    def is_behind(self) -> bool:
        """Whether there is something to write."""
        return bool(self._events or self._balances)

    def record(self, events: Sequence[Recordable]) -> None:
        """Take *events*, in order. Broadcasts, and events that are recorded already, may be among them.

        Raises:
            StoreError: too many wait to be written, because the disk is full. None of *events* was taken.
        """
        if len(self._events) >= _MAX_PENDING:
            raise StoreError(
                f"{len(self._events):,} events wait to be recorded in the history, and the last ones could not be "
                f"written; free space on the disk"
            )
        self._events += events

    def record_balances(self, transaction_id: int, balances: Mapping[str, Balance], now_us: int) -> None:
        """Take what the exchange says of *balances* after *transaction_id*."""
        self._balances += [
            (transaction_id, now_us, currency, plain(balance.available), plain(balance.on_hold))
            for currency, balance in balances.items()
        ]

    def write(self, connection: sqlite3.Connection) -> int:
        """Write everything in the open transaction of *connection*; :meth:`committed` says that it was committed.

        Returns how many events there were.
        """
        events, through = self._events, self.through
        for start in range(0, len(events), _GROUP):
            through = _write_group(connection, events[start : start + _GROUP], through)
        if through > self.through:
            connection.execute("UPDATE cryptoproto_history SET recorded_through = ?", (through,))
        if self._balances:
            connection.executemany(
                "INSERT OR REPLACE INTO cryptoproto_history_balance VALUES (?, ?, ?, ?, ?)", self._balances
            )
        self._written_through = through
        return len(events)

    def committed(self) -> None:
        """What :meth:`write` wrote last is in the file."""
        self.through = self._written_through
        self._events = []
        self._balances = []


def _write_group(connection: sqlite3.Connection, events: Iterable[Recordable], through: int) -> int:
    """Write those of *events* that come after *through* and are kept; returns the last transaction id."""
    rows: list[bytes] = []
    times: list[tuple[int, int]] = []
    first = last = through
    for event in events:
        transaction_id = event.transaction_id
        if transaction_id is None or transaction_id <= last:
            continue
        last = transaction_id
        message = event.message
        if type(message) in _KEPT:
            times.append(message.time)
            rows.append(b"[%d,%b]" % (transaction_id, event.raw))
        elif type(message) is InsufficientFunds:  # has no time of its own
            time = _time_of(event)
            times.append(time)
            rows.append(b"[%d,%b,%d]" % (transaction_id, event.raw, _microseconds(time)))
        else:
            continue
        if len(rows) == 1:
            first = transaction_id
    if rows:
        # Fields that no message has are not checked for valid text when they are received.
        text = (b"[" + b",".join(rows) + b"]").decode("utf-8", "replace")
        group = (first, last, _microseconds(min(times)), _microseconds(max(times)), text)
        connection.execute("INSERT INTO cryptoproto_history_group VALUES (?, ?, ?, ?, ?)", group)
    return last


def _time_of(event: Recordable) -> tuple[int, int]:
    timestamp = event.timestamp
    if timestamp is not None and 0 <= timestamp < _LATEST_S:  # false for NaN
        return divmod(round(timestamp * 1_000_000), 1_000_000)
    return divmod(event.received_ns // 1000, 1_000_000)


def _microseconds(time: tuple[int, int]) -> int:
    return time[0] * 1_000_000 + time[1]
