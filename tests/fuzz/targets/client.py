"""What a client reads from its store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind
from cryptoproto.client.reports import OutcomeReport, Reports
from cryptoproto.client.store import MemoryStore
from cryptoproto.client.store.outbox_log import Change, OutboxLog, Put, ReportRead, Settled, changes_in
from tests.fuzz.target import Cost, Target

__all__ = ["TARGETS"]


def read(row: bytes) -> OutcomeReport:
    """The late outcome in a row, as the next process gets it."""
    store = MemoryStore()
    store.put_late_report(row, None, -1)
    reports = Reports(store)
    reports.restore()
    (item,) = reports._unread
    assert isinstance(item.report, OutcomeReport)
    return item.report


def check(row: bytes, report: OutcomeReport) -> None:
    """Stored again, it is the same report."""
    store = MemoryStore()
    Reports(store).add(report)
    ((_, stored),) = store.late_reports()
    again = read(stored)
    assert again.as_dict() == report.as_dict()
    assert type(again.error) is type(report.error)
    assert repr(report)


def seeds() -> Iterator[bytes]:
    unknown = cp.OutcomeUnknown("lost")
    unknown.sent = True
    errors = (None, cp.OrderRejected("no"), cp.InsufficientFundsError("USD", 7), cp.InvalidPayload(2, "bad"), unknown)
    for kind in Kind:
        for error in errors:
            store = MemoryStore()
            Reports(store).add(OutcomeReport(kind, 1, None, error))
            yield from (row for _, row in store.late_reports())


IDENTITY = 7


def read_changes(data: bytes) -> list[tuple[int, Change]]:
    return list(changes_in(data, IDENTITY))


def check_changes(_: bytes, changes: list[tuple[int, Change]]) -> None:
    """Written again, they are found again."""
    if changes:
        assert read_changes(log_of(changes[0][0], *(change for _, change in changes))) == changes


def log_of(number: int, *changes: Change) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        log = OutboxLog(Path(folder) / "log", IDENTITY, sync=False)
        log.number = number - 1
        for change in changes:
            log.append(change)
        log.close()
        return log.path.read_bytes()


def logs() -> Iterator[bytes]:
    changes = (Put(1, "place", b"{}", 1, None, 5), Settled(7, 1), Settled(8, None, 1, b"late"), ReportRead(1))
    for number in range(len(changes) + 1):
        yield log_of(1, *changes[:number])


TARGETS = (
    Target(
        "outbox-log",
        read_changes,
        (ValueError,),
        logs,
        check_changes,
        words=(b"\x93\xa3put", b"\x95\xa7settled", b"\x92\xa4read"),
        longest=1000,
    ),
    Target(
        "late-reports",
        read,
        (cp.StoreError,),
        seeds,
        check,
        words=(b'"kind":"place"', b'"error":"ServerError"', b'"error_type":', b'"sent":null', b'"currency":"\\ud800"'),
        longest=4000,
        cost=Cost(calls=1500, calls_per_byte=10, memory=100_000, memory_per_byte=50),
    ),
)
