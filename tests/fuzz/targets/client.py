"""What a client reads from its store."""

from __future__ import annotations

from collections.abc import Iterator

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind
from cryptoproto.client.reports import OutcomeReport, Reports
from cryptoproto.client.store import MemoryStore
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


TARGETS = (
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
