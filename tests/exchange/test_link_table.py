"""All links, and which of them is the connection of a client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.link import ClientLink
from cryptoproto.exchange.link_table import LinkTable
from tests.support.peer import until_raised
from tests.support.raw import RawClient
from tests.support.trading import Floor, in_memory, limit, trade

BALANCE = cp.UserBalanceRequest()


@pytest.fixture
async def floor(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> AsyncIterator[Floor]:
    async with trade(keys, {"transport": kind, "protocol": protocol}, transport=kind) as floor:
        yield floor


async def test_a_link_that_opens_after_the_close_is_closed(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    await exchange.close(1012, "gone")
    async with RawClient.over(in_memory(exchange)) as client:
        closed = await client.closed
        assert (closed.code, closed.reason) == (1012, "gone")
    assert exchange.handshakes._under_way == 0


async def test_a_second_connection_takes_over(floor: Floor) -> None:
    async with floor.connect("alice") as first, floor.connect("bob") as other:
        await first.send(limit("Buy", "1", "100"))
        await first.request(BALANCE)
        async with floor.connect("alice") as second:
            assert second.last_sequence == 1
            _, error = await until_raised(first)
            assert isinstance(error, cp.ConcurrentConnection)
            assert error.code == 4000
            assert await second.send(limit("Buy", "1", "101")) == 2
            await second.request(BALANCE)
            assert other.is_open
        await other.request(BALANCE)


async def test_the_link_of_a_client_is_the_one_that_joined_last(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    table = LinkTable()
    first, second, nobody = ClientLink(exchange), ClientLink(exchange), ClientLink(exchange)
    for link in (first, second, nobody):
        table.opened(link)
    assert table.is_newest("alice", 0)
    first.record = second.record = exchange.venue.client("alice")
    for link in (first, second, nobody):
        table.joined(link)
    assert table.by_client == {"alice": second}
    assert first._closing
    table.left(first)
    table.left(nobody)
    assert table.by_client == {"alice": second}
    assert not table.is_newest("alice", 0)
    assert table.is_newest("alice", 1)
    table.left(second)
    assert table.by_client == {}
    assert list(table) == []


async def test_links_that_open_are_turned_away_until_they_are_admitted(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    table = LinkTable()
    table.turn_away(1012, "gone")
    early, late = ClientLink(exchange), ClientLink(exchange)
    table.opened(early)
    table.admit()
    table.opened(late)
    assert early._farewell == (1012, "gone")
    assert late._farewell is None
    table.close_all(1001, "over")
    assert late._farewell == (1001, "over")
