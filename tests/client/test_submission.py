"""A message on its way knows what it would be reported as."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind, Pending
from cryptoproto.client.submission import Submission


def answer() -> asyncio.Future[cp.CryptoprotoError | None]:
    return asyncio.get_running_loop().create_future()


async def test_the_report_of_an_outcome() -> None:
    error = cp.OrderRejected("no")
    place = Submission(Pending(kind=Kind.PLACE, client_order_id=5), b"{}", answer())
    assert place.report(error) == cp.OutcomeReport(Kind.PLACE, 5, None, error)
    cancel = Submission(Pending(kind=Kind.CANCEL, order_id=7), b"{}", answer())
    assert cancel.report(None) == cp.OutcomeReport(Kind.CANCEL, None, 7, None)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("other", b'{"@type":"CancelAllOrders"}'),
        ("place", b'{"@type":"PlaceBuy'),
        ("place", b'{"@type":"PlaceBuyLimitOrder","trade_pair":"BTC_USD","amount":"-1","price":"1","ttl":0}'),
    ],
)
async def test_a_damaged_entry_of_the_outbox_is_named(kind: Any, payload: bytes) -> None:
    entry = cp.OutboxEntry(kind=kind, payload=payload, created_ns=1, key=3)
    with pytest.raises(cp.StoreError, match=r"message 3 in the client's store cannot be read: .*; restore a backup"):
        Submission.restored(entry, answer())


async def test_only_the_first_outcome_counts_and_wakes_the_caller() -> None:
    error = cp.OrderRejected("no")
    submission = Submission(Pending(kind=Kind.PLACE, client_order_id=5), b"{}", answer())
    submission.wake()  # nobody waits
    submission.waiter = waiter = asyncio.get_running_loop().create_future()
    submission.settle(error)
    submission.settle(None)
    assert waiter.done()
    assert submission.answer.result() is error


async def test_a_caller_can_be_woken_without_an_outcome() -> None:
    submission = Submission(Pending(kind=Kind.PLACE, client_order_id=5), b"{}", answer())
    submission.waiter = waiter = asyncio.get_running_loop().create_future()
    submission.wake()
    submission.wake()
    assert waiter.done()
    assert not submission.answer.done()


async def test_two_submissions_of_the_same_content_are_two() -> None:
    one, other = (Submission(Pending(kind=Kind.CANCEL_ALL), b"{}", answer()) for _ in range(2))
    assert one != other
    assert one.pending != other.pending
    assert len({one.pending, other.pending}) == 2
