"""Reports wait for a reader; late outcomes wait in the store until a reader is done with them."""

from __future__ import annotations

import asyncio
import gc
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind
from cryptoproto.client.reports import OutcomeReport, Reports
from cryptoproto.client.store import OutboxEntry

ONE = Decimal(1)
DIFFERENCE = cp.BalanceDifference("USD", cp.Balance(ONE, ONE), cp.Balance(ONE, 2 * ONE))


def report(number: int, error: cp.CryptoprotoError | None = None) -> OutcomeReport:
    return OutcomeReport(Kind.PLACE, number, None, error)


@pytest.fixture
def store() -> cp.MemoryStore:
    return cp.MemoryStore()


@pytest.fixture
def reports(store: cp.MemoryStore) -> Reports:
    return Reports(store)


async def test_what_nobody_has_read_waits_for_the_first_reader(reports: Reports) -> None:
    reports.add(report(1))
    reports.add(DIFFERENCE)
    reader, second = reports.subscribe(), reports.subscribe()
    reports.add(report(2))
    reports.end()
    assert [each async for each in reader] == [report(1), DIFFERENCE, report(2)]
    assert [each async for each in second] == [report(2)]


async def test_a_late_outcome_is_stored_until_its_reader_asks_for_the_next(
    store: cp.MemoryStore, reports: Reports
) -> None:
    reader = reports.subscribe()
    key = store.put(OutboxEntry(kind="place", payload=b"{}", created_ns=1))
    reports.add(report(1), key=key, settled_through=9)
    assert store.outbox() == []
    assert store.settled_through == 9
    assert await anext(reader) == report(1)
    assert len(store.late_reports()) == 1
    asking = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    assert store.late_reports() == []
    reports.add(report(2))
    assert await asking == report(2)


async def test_the_next_process_gets_what_was_not_read(store: cp.MemoryStore, reports: Reports) -> None:
    reports.add(report(1))
    reports.add(report(2))
    reader = reports.subscribe()
    assert await anext(reader) == report(1)
    # The process is killed here: the reader never said that it was done with the first.
    after = Reports(store)
    early = after.subscribe()
    after.restore()
    after.end()
    assert [each async for each in early] == [report(1), report(2)]


async def test_what_a_reader_leaves_unread_waits_for_the_next_one(store: cp.MemoryStore, reports: Reports) -> None:
    reports.add(report(1))
    reports.add(report(2))
    reader = reports.subscribe()
    assert await anext(reader) == report(1)
    reader.close()
    reader.close()
    reports.add(report(3))
    following = reports.subscribe()
    assert [await anext(following) for _ in range(3)] == [report(1), report(2), report(3)]
    assert len(store.late_reports()) == 1
    other = reports.subscribe()
    other.close()  # not the last reader: it takes nothing along
    reports.end()
    assert [each async for each in following] == []
    assert len(store.late_reports()) == 1, "after the end nothing is removed: the store may be closed"


async def test_the_oldest_are_dropped_when_too_many_wait(
    store: cp.MemoryStore, reports: Reports, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(10_001):
        reports.add(DIFFERENCE)
    assert "the oldest is dropped" in caplog.text
    reader = reports.subscribe()
    reports.end()
    assert len([each async for each in reader]) == 10_000


@pytest.mark.parametrize(
    "error",
    [
        None,
        cp.InsufficientFundsError("USD", 77),
        cp.DuplicateClientOrderId(1, "used before"),
        cp.UnknownServerError(99, "what?"),
        cp.OrderRejected("the reason was lost"),
        cp.OrderNotOpen("order 7 is not open"),
        cp.OutcomeUnknown("nobody knows"),
        cp.RequestNotSent("the connection was lost"),
    ],
)
async def test_every_outcome_survives_a_restart(
    error: cp.CryptoprotoError | None, store: cp.MemoryStore, reports: Reports
) -> None:
    if error is not None and not isinstance(error, cp.ServerError | cp.InsufficientFundsError):
        error.sent = False
    reports.add(report(5, error))
    after = Reports(store)
    after.restore()
    after.end()
    (told,) = [each async for each in after.subscribe()]
    assert isinstance(told, OutcomeReport)
    assert (told.kind, told.client_order_id, told.order_id) == (Kind.PLACE, 5, None)
    assert type(told.error) is type(error)
    assert str(told.error) == str(error)
    assert getattr(told.error, "sent", None) == getattr(error, "sent", None)


async def test_a_report_that_cannot_be_stored_is_not_published(store: cp.MemoryStore, reports: Reports) -> None:
    class Full(cp.MemoryStore):
        def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
            raise cp.StoreError("no space left")

    reports = Reports(Full())
    reader = reports.subscribe()
    with pytest.raises(cp.StoreError):
        reports.add(report(1))
    reports.add_of_cancelled(report(2))  # unlike that of a call that was cancelled: nothing else knows it
    reports.end()
    assert [each async for each in reader] == [report(2)]


async def test_a_reader_that_is_dropped_takes_nothing_along(reports: Reports) -> None:
    reports.add(report(1))
    reports.add(report(2))
    async for _ in reports.subscribe():
        break
    gc.collect()
    following = reports.subscribe()
    reports.end()
    assert [each async for each in following] == [report(1), report(2)]


async def test_nothing_is_reported_after_the_end(store: cp.MemoryStore, reports: Reports) -> None:
    reader = reports.subscribe()
    reports.end()
    store.close()
    reports.add(report(1))
    assert store.late_reports() == []
    assert [each async for each in reader] == []


@pytest.mark.parametrize(
    "row", [b"", b"{}", b'{"kind":"x"}', b'{"kind":"place","error":1}', b'{"kind":"place","x":' + b"[" * 5000, b"\xff"]
)
def test_a_damaged_late_outcome_is_named(store: cp.MemoryStore, reports: Reports, row: bytes) -> None:
    store.put_late_report(row, None, -1)
    with pytest.raises(cp.StoreError, match="late report 1 in the client's store cannot be read"):
        reports.restore()


async def test_a_client_whose_store_is_damaged_gives_it_back(
    store: cp.MemoryStore, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    store.put_late_report(b"{}", None, -1)
    client = cp.Client(
        "ws://127.0.0.1:1", client_id="a", private_key=alice_key, server_key=exchange_key.public_key, store=store
    )
    with pytest.raises(cp.StoreError, match="late report 1"):
        await client.start()
    store.open("a", exchange_key.public_key.fingerprint)  # nobody has it
