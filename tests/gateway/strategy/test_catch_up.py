"""A strategy that catches up with each owner; with a real NATS server and an owner by script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError, HistoryTruncated
from cryptoproto.gateway import GatewayClient
from cryptoproto.gateway.calls import Call, CallPlace, EventsFrom, Hello, OpenEvents, Reply, TakeSnapshot
from cryptoproto.gateway.records import Placed
from cryptoproto.gateway.strategy import catch_up
from tests.support.nats_server import NatsServer
from tests.support.scripted_owner import ScriptedOwner


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "_RETRY_S", 0.01)


@pytest.fixture
async def owner(nats: NatsServer) -> AsyncIterator[ScriptedOwner]:
    async with ScriptedOwner.at(nats.url) as owner:
        yield owner


def strategy(nats: NatsServer, store: cp.MemoryStore | None = None) -> GatewayClient:
    return GatewayClient(nats.url, client_id="alice", strategy="one", store=store)


async def until(client: GatewayClient, state: cp.State) -> cp.StateChange:
    async with asyncio.timeout(10):
        async for change in client.states():
            if change.state is state:
                return change
    raise AssertionError("the states have ended")


async def test_it_tries_again_until_the_owner_answers(nats: NatsServer, owner: ScriptedOwner) -> None:
    refusals = 3

    def answer(call: Call) -> Reply | None:
        nonlocal refusals
        if isinstance(call, TakeSnapshot) and refusals:
            refusals -= 1
            return owner.reply(error=GatewayError("not yet"))
        return None

    owner.answer = answer
    async with strategy(nats) as client:
        await until(client, cp.State.LIVE)
        assert sum(isinstance(call, OpenEvents) for call in owner.calls) == 1
        assert sum(isinstance(call, TakeSnapshot) for call in owner.calls) == 4


async def test_it_catches_up_with_each_owner(nats: NatsServer, owner: ScriptedOwner) -> None:
    async with strategy(nats) as client:
        await until(client, cp.State.LIVE)
        owner.fence = 2
        await owner.announce()
        await owner.received(TakeSnapshot, 2)
        await until(client, cp.State.LIVE)
        assert owner.calls[-1] == TakeSnapshot(2)


async def test_the_events_since_the_position_are_gone(nats: NatsServer, owner: ScriptedOwner) -> None:
    """Then every wait ends with the reason: nothing that follows could be trusted."""
    refused = asyncio.Event()

    def answer(call: Call) -> Reply | bytes | None:
        if isinstance(call, OpenEvents):
            return owner.reply(EventsFrom(5, truncated_at=9))
        return b"" if isinstance(call, Hello) and not refused.is_set() else None

    owner.answer = answer
    client = strategy(nats)
    starting = asyncio.ensure_future(client.start())
    try:
        async with asyncio.timeout(10):
            reading = asyncio.ensure_future(anext(aiter(client.events())))
            refused.set()
            with pytest.raises(HistoryTruncated):
                await starting
            with pytest.raises(HistoryTruncated):
                await reading
            with pytest.raises(cp.ClientClosed):
                await client.place("BTC_USD", "buy", amount="1", price="1", wait=True)
    finally:
        await client.close()


async def test_the_events_are_gone_later(nats: NatsServer, owner: ScriptedOwner) -> None:
    async with strategy(nats) as client:
        await until(client, cp.State.LIVE)
        reading = asyncio.ensure_future(anext(aiter(client.events())))
        waiting = asyncio.ensure_future(until(client, cp.State.CLOSED))
        owner.answer = lambda call: owner.reply(EventsFrom(5, truncated_at=9)) if isinstance(call, OpenEvents) else None
        owner.position = 12  # published, and not here
        async with asyncio.timeout(10):
            for _ in range(2):
                client._reader.check(12)
            with pytest.raises(HistoryTruncated):
                await reading
            assert isinstance((await waiting).error, HistoryTruncated)


async def test_what_differs_from_the_owner_is_reported(nats: NatsServer, owner: ScriptedOwner) -> None:
    placed = Placed(7, Decimal(1), Decimal(1), Decimal(100), False, None)
    owner.answer = lambda call: owner.reply(placed) if isinstance(call, CallPlace) else None
    async with strategy(nats) as client:
        await until(client, cp.State.LIVE)
        order = await client.place("BTC_USD", "buy", amount="1", price="100")
        reports = client.reports()
        owner.fence = 2  # whose tables do not have the order
        await owner.announce()
        async with asyncio.timeout(10):
            difference = await anext(reports)
        assert isinstance(difference, cp.OrderDifference)
        assert difference.order is order
