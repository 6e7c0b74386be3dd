"""What a client reads from its store."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from zlib import crc32

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind
from cryptoproto.client.reports import OutcomeReport, Reports
from cryptoproto.client.store import MemoryStore
from cryptoproto.client.store.outbox_log import Change, OutboxLog, Put, ReportRead, Settled, changes_in
from tests.fuzz.scratch import written
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
_HEAD = Struct("<II")  # length, checksum


def read_changes(data: bytes) -> list[tuple[int, Change]]:
    """The changes in a log whose checksums are right, so that what is behind them is read as well.

    They begin with what is read as the checksums are: a wrong one ends a log.
    """
    before = list(changes_in(data, IDENTITY))
    changes = list(changes_in(sound(data), IDENTITY))
    assert changes[: len(before)] == before
    return changes


def sound(data: bytes) -> bytes:
    """The log with the checksums that its records should have."""
    log, start = bytearray(data), 0
    while len(log) - start >= _HEAD.size:
        length, _ = _HEAD.unpack_from(log, start)
        end = start + _HEAD.size + length
        _HEAD.pack_into(log, start, length, crc32(log[start + _HEAD.size : end], IDENTITY))
        start = end
    return bytes(log)


def check_changes(_: bytes, changes: list[tuple[int, Change]]) -> None:
    """Written again, they are found again."""
    if changes:
        assert list(changes_in(log_of(changes[0][0], *(change for _, change in changes)), IDENTITY)) == changes


def log_of(number: int, *changes: Change) -> bytes:
    log = OutboxLog(written("outbox.log", b""), IDENTITY, sync=False)
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
