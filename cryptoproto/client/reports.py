"""Late outcomes and differences: kept until somebody reads them, and late outcomes in the store as well."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final, NamedTuple, Self, TypeAlias

import msgspec

from ..exceptions import CryptoprotoError, InsufficientFundsError, StoreError
from ..messages import MALFORMED, AsDict
from ..reconnect import Channel, Subscription
from .account import BalanceDifference, OrderDifference
from .error_row import ErrorRow
from .outcomes import Kind
from .store import Store

__all__ = ["OutcomeReport", "Report", "ReportStream", "Reports"]

logger: logging.Logger = logging.getLogger("cryptoproto.client")

_KEPT: Final = 10_000


class OutcomeReport(AsDict, msgspec.Struct, frozen=True):
    """An outcome that became known when nobody was waiting for it any more.

    Attributes:
        kind: what the message asked for.
        client_order_id: of the order that it placed, or ``None``.
        order_id: of the order that it cancelled, or ``None``.
        error: ``None`` if the message took effect; otherwise why not.
    """

    kind: Kind
    client_order_id: int | None
    order_id: int | None
    error: CryptoprotoError | None


Report: TypeAlias = OutcomeReport | OrderDifference | BalanceDifference
"""What a client reports on its own: late outcomes, and differences found after a resume."""


class _Item(NamedTuple):
    report: Report
    key: int | None  # in the store


class Reports:
    """Where reports wait for their readers.

    A report that nobody has read waits for the first reader, up to 10,000 of them; then the oldest are dropped from
    memory. Late outcomes are in the store until a reader has asked for the report after them, so a process that is
    killed in between passes them on to the next one.

    Args:
        store: keeps late outcomes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._channel: Channel[_Item] = Channel(kept=_KEPT)
        self._unread: deque[_Item] = deque(maxlen=_KEPT)
        self._readers = 0
        self._ended = False

    def restore(self) -> None:
        """Take up the late outcomes that no earlier process has read.

        Raises:
            StoreError: one of them is damaged, or was written by a later version of this package.
        """
        for key, row in self._store.late_reports():
            try:
                report = _decoded(row)
            except MALFORMED as error:
                raise StoreError(
                    f"late report {key} in the client's store cannot be read: {error}; restore a backup of the store, "
                    f"or use the version of this package that wrote it"
                ) from None
            self._publish(_Item(report, key))

    def add(self, report: Report, *, key: int | None = None, settled_through: int = -1) -> None:
        """Publish *report*. A late outcome is stored in the same step that takes *key* out of the outbox.

        After :meth:`end` it does nothing: the store is closed. A call that is cancelled then was answered with
        OutcomeUnknown, and the next process reports what is still in the outbox.

        Raises:
            StoreError: it could not be stored; nothing was published.
        """
        if self._ended:
            return
        stored = None
        if isinstance(report, OutcomeReport):
            stored = self._store.put_late_report(_encoded(report), key, settled_through)
        self._publish(_Item(report, stored))

    def add_of_cancelled(self, report: OutcomeReport) -> None:
        """Publish what became of a message whose caller was cancelled, stored or not.

        Nothing else knows it: it is not in the outbox any more. And the caller is to see the cancellation, not a disk
        that failed.
        """
        try:
            self.add(report)
        except StoreError:
            logger.exception("an outcome could not be stored, and is not reported after a restart: %s", report)
            self._publish(_Item(report, None))

    def _publish(self, item: _Item) -> None:
        if self._readers:
            self._channel.publish(item)
        else:
            if len(self._unread) == _KEPT:
                logger.warning("%d reports wait for a reader of client.reports(); the oldest is dropped", _KEPT)
            self._unread.append(item)

    def subscribe(self) -> ReportStream:
        """A reader of what waits, and of everything that follows."""
        waiting = tuple(self._unread)
        self._unread.clear()
        self._readers += 1
        return ReportStream(self, self._channel.subscribe(*waiting))

    def was_read(self, item: _Item) -> None:
        """A reader is done with it: forget it."""
        if item.key is not None and not self._ended:
            self._store.remove_late_report(item.key)

    def left(self, unread: list[_Item]) -> None:
        """A reader has left; what it has not read waits for the next one, if it was the last."""
        self._readers -= 1
        if not self._readers:
            self._unread.extend(unread)

    def end(self) -> None:
        """Nothing more is reported. Readers end when they have read what waits."""
        self._ended = True
        self._channel.end()


class ReportStream:
    """One reader of :meth:`~cryptoproto.Client.reports`; an async iterator. Cancelling loses nothing."""

    def __init__(self, reports: Reports, items: Subscription[_Item]) -> None:
        self._reports = reports
        self._items = items
        self._handed: _Item | None = None
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Report:
        """The next report; asking for it says that the one before was read."""
        handed, self._handed = self._handed, None
        if handed is not None:
            self._reports.was_read(handed)
        self._handed = await anext(self._items)
        return self._handed.report

    def __del__(self) -> None:
        self.close()  # a loop that was left has not read the rest

    def close(self) -> None:
        """Stop reading. What was not read waits for the next reader. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._items.close()
        handed, self._handed = self._handed, None
        self._reports.left([*([handed] if handed is not None else []), *self._items.drain()])


class _Row(ErrorRow, kw_only=True, omit_defaults=True):
    """A late outcome as it is stored."""

    kind: Kind
    client_order_id: int | None = None


def _encoded(report: OutcomeReport) -> bytes:
    error = msgspec.structs.asdict(ErrorRow.of(report.error))
    row = _Row(kind=report.kind, client_order_id=report.client_order_id, **error)
    if row.order_id is None:
        row.order_id = report.order_id
    return msgspec.json.encode(row)


def _decoded(data: bytes) -> OutcomeReport:
    row = msgspec.json.decode(data, type=_Row)
    error = row.restored()
    order_id = None if isinstance(error, InsufficientFundsError) else row.order_id
    return OutcomeReport(row.kind, row.client_order_id, order_id, error)
