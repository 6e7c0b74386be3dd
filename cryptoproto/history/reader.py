"""Reads what is recorded, one group at a time, while a client may write."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from ..exceptions import ConfigurationError, DecodeError, StoreError
from ..messages import (
    MALFORMED,
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderClosed,
    BuyOrderPlaced,
    InsufficientFunds,
    OwnTrade,
    PlaceOrder,
    SellOrderAmountChanged,
    SellOrderCancelled,
    SellOrderClosed,
    SellOrderPlaced,
    SetBalance,
    decode_client_message,
)
from .schema import NOT_KEPT, check_history
from .time_range import FOREVER

__all__ = ["Entry", "Group", "Reader", "SentOrder", "StatedBalance"]

_BROKEN: Final = (sqlite3.Error, UnicodeDecodeError)


class _Row(msgspec.Struct, array_like=True, gc=False):
    transaction_id: int
    message: (
        OwnTrade
        | SetBalance
        | BuyOrderPlaced
        | SellOrderPlaced
        | BuyOrderAmountChanged
        | SellOrderAmountChanged
        | BuyOrderCancelled
        | SellOrderCancelled
        | BuyOrderClosed
        | SellOrderClosed
        | InsufficientFunds
    )
    time_us: int | None = None


_ROWS: Final = msgspec.json.Decoder(list[_Row])


class Entry(NamedTuple):
    """One event of the history; *time_us* is when it happened, in unix microseconds."""

    transaction_id: int
    time_us: int
    message: Any


class SentOrder(NamedTuple):
    """An order that was sent; *settled_by* is the event that answered it, ``None`` while there is none."""

    sent_us: int
    settled_by: int | None
    message: PlaceOrder


class StatedBalance(NamedTuple):
    """What the exchange said of a currency after *transaction_id*."""

    transaction_id: int
    stated_us: int
    currency: str
    available: str
    on_hold: str


class Group(NamedTuple):
    """The events that were committed together."""

    first: int
    last: int
    entries: list[Entry]


class Reader:
    """Reads the history in the file *path*.

    An iteration reads one row at a time, so it never holds a transaction open, which would make the writer's log grow.
    A row is never changed.

    Args:
        path: the file of the store.
        before_reading: called before each iteration, so that what is not written yet can be written.
    """

    def __init__(self, path: Path, before_reading: Callable[[], None] | None = None) -> None:
        self.path = path
        self._before_reading = before_reading

    def refresh(self) -> None:
        """Have written what is not written yet; call it before an iteration."""
        if self._before_reading is not None:
            self._before_reading()

    def groups(
        self, *, after: int = -FOREVER, through: int = FOREVER, since_us: int = -FOREVER, until_us: int = FOREVER
    ) -> Iterator[Group]:
        """The groups with events in a range, with all their events. All groups of a range of transactions follow.

        Args:
            after: leave out groups that end before this transaction.
            through: leave out groups that begin after this transaction.
            since_us: leave out groups that end before this time.
            until_us: leave out groups that begin at this time or later.

        Raises:
            ConfigurationError: there is no such file, or it has no history.
            StoreError: it cannot be read.
        """
        with self._connected() as connection:
            yield from self._groups(connection, after, through, since_us, until_us)

    def groups_and_orders(
        self, *, after: int, through: int, settled_after: int
    ) -> Iterator[tuple[Group, list[SentOrder]]]:
        """As :meth:`groups`, each with the orders that it and events before it have settled.

        Args:
            after: leave out groups that end before this transaction.
            through: leave out groups that begin after this transaction.
            settled_after: leave out orders that were settled by this transaction, or before.
        """
        with self._connected() as connection:
            for group in self._groups(connection, after, through, -FOREVER, FOREVER):
                yield group, self._settled_orders(connection, settled_after, group.last, -FOREVER)
                settled_after = group.last

    def _groups(
        self, connection: sqlite3.Connection, after: int, through: int, since_us: int, until_us: int
    ) -> Iterator[Group]:
        (last,) = connection.execute("SELECT recorded_through FROM cryptoproto_history").fetchone()
        (first,) = connection.execute(
            "SELECT max(first) FROM cryptoproto_history_group WHERE first <= ?", (after,)
        ).fetchone()
        begin = after if first is None else first
        while rows := connection.execute(
            "SELECT first, last, events FROM cryptoproto_history_group "
            "WHERE first BETWEEN ? AND ? AND latest_us >= ? AND earliest_us < ? ORDER BY first LIMIT 1",
            (begin, min(last, through), since_us, until_us),
        ).fetchall():
            ((first, end, events),) = rows
            yield Group(first, end, self._entries(events))
            begin = first + 1

    def entries(self, after: int = -FOREVER) -> Iterator[Entry]:
        """Every event after the transaction *after*; raises as :meth:`groups`."""
        for group in self.groups(after=after):
            yield from group.entries if group.first > after else [one for one in group.entries if one[0] > after]

    def first_since(self, since_us: int) -> int | None:
        """A transaction before which nothing happened at *since_us* or later; ``None`` if nothing did at all."""
        (row,) = self._fetch("SELECT min(first) FROM cryptoproto_history_group WHERE latest_us >= ?", since_us)
        first: int | None = row[0]
        return first

    def settled_orders(self, after: int, through: int, since_us: int = -FOREVER) -> list[SentOrder]:
        """The orders that were settled by events after *after*, up to *through*, and sent at *since_us* or later."""
        with self._connected() as connection:
            return self._settled_orders(connection, after, through, since_us)

    def _settled_orders(
        self, connection: sqlite3.Connection, after: int, through: int, since_us: int
    ) -> list[SentOrder]:
        rows = connection.execute(
            "SELECT sent_us, settled_by, message FROM cryptoproto_history_order "
            "WHERE settled_by > ? AND settled_by <= ? AND sent_us >= ? ORDER BY settled_by, key",
            (after, through, since_us),
        ).fetchall()
        return [SentOrder(sent, by, self._message(text)) for sent, by, text in rows]

    def unsettled_orders(self, after: int) -> list[SentOrder]:
        """The orders without an answer in the history up to *after*: later ones, and those in the outbox."""
        rows = self._fetch(
            "SELECT sent_us, key, message FROM cryptoproto_history_order WHERE settled_by > ? UNION ALL "
            "SELECT created_ns / 1000, key, CAST(payload AS TEXT) FROM cryptoproto_outbox WHERE kind = 'place' "
            "ORDER BY key",
            after,
        )
        return [SentOrder(sent, None, self._message(text)) for sent, _, text in rows]

    def stated_balances(self) -> list[StatedBalance]:
        """What the exchange stated, in order."""
        rows = self._fetch(
            "SELECT transaction_id, stated_us, currency, available, on_hold FROM cryptoproto_history_balance "
            "ORDER BY transaction_id, currency"
        )
        return [StatedBalance(*row) for row in rows]

    def beginning(self) -> tuple[int, int]:
        """The last transaction before the history, and when it was begun, in unix microseconds."""
        (row,) = self._fetch("SELECT began_after, began_us FROM cryptoproto_history")
        return row[0], row[1]

    def recorded_through(self) -> int:
        """The last transaction that is recorded."""
        (row,) = self._fetch("SELECT recorded_through FROM cryptoproto_history")
        through: int = row[0]
        return through

    def check(self) -> None:
        """Check that the file has a history.

        Raises:
            ConfigurationError: there is no such file, or it has no history that this version can read.
        """
        with self._connected():
            pass

    def _fetch(self, query: str, *parameters: object) -> list[Any]:
        with self._connected() as connection:
            return connection.execute(query, parameters).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        path = self.path.resolve()
        if not path.is_file():
            raise ConfigurationError(f"there is no file {self.path}; the first client with this store creates it")
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)) as connection:
                if not check_history(connection, self.path):
                    raise ConfigurationError(f"{self.path} has no history; {NOT_KEPT}")
                yield connection
        except _BROKEN as error:
            raise StoreError(f"cannot read the history in {self.path}: {error}") from error

    def _entries(self, text: str) -> list[Entry]:
        try:
            rows = _ROWS.decode(text)
        except MALFORMED as error:
            raise self._damaged(error) from None
        return [Entry(row.transaction_id, self._time_us(row), row.message) for row in rows]

    def _time_us(self, row: _Row) -> int:
        if row.time_us is not None:
            return row.time_us
        message = row.message
        if isinstance(message, InsufficientFunds):  # its time is in its row
            raise self._damaged(f"transaction {row.transaction_id} has no time")
        seconds, fraction = message.time
        return seconds * 1_000_000 + fraction

    def _message(self, text: str) -> PlaceOrder:
        try:
            message = decode_client_message(text.encode())
        except DecodeError as error:
            raise self._damaged(error) from None
        if not isinstance(message, PlaceOrder):
            raise self._damaged(f"{text:.60} places no order")
        return message

    def _damaged(self, what: object) -> StoreError:
        return StoreError(f"the history in {self.path} is damaged: {what}; restore a backup")
