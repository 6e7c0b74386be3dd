"""The commands since a snapshot, and the client order ids that they have used."""

from __future__ import annotations

from array import array

from cryptoproto.exchange.commands import Expire, Refused, Submit
from cryptoproto.exchange.journal_schema import Head
from cryptoproto.exchange.since_snapshot import SinceSnapshot
from cryptoproto.messages import CancelAllOrders, PlaceBuyLimitOrder


def order(client_order_id: int | None) -> Submit:
    return Submit("alice", PlaceBuyLimitOrder("BTC_USD", "1", "1", client_order_id), 0)


def test_a_client_order_id_is_used_by_an_order_that_was_not_refused() -> None:
    since = SinceSnapshot(0, 0)
    since.add(1, order(7), [])
    since.add(1, order(8), [Refused("alice", 1, "")])
    since.add(2, order(9), [])
    since.add(1, order(None), [])
    since.add(1, Submit("alice", CancelAllOrders(), 0), [])
    since.add(None, Expire(0), [])
    since.add(1, None, [])
    assert since.commands == 7
    assert since.snapshot(Head(), {}, b"").used == {1: array("q", [7]), 2: array("q", [9])}


def test_a_snapshot_follows_the_one_before() -> None:
    since = SinceSnapshot(5, 100)
    since.add(1, order(7), [])
    since.add(2, order(9), [])
    head = Head(number=8)
    first = since.snapshot(head, {"alice": 3}, b"engine")
    head.number = 12
    assert (first.head.number, first.follows, first.used_before) == (8, 5, 100)
    assert (first.sequences, first.engine) == ({"alice": 3}, b"engine")
    assert since.commands == 0
    since.add(1, order(8), [])
    second = since.snapshot(head, {}, b"")
    assert (second.follows, second.used_before, second.used) == (8, 102, {1: array("q", [8])})
