"""What becomes of commands whose reply is lost, late, or that of another owner; with an owner by script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind
from cryptoproto.client.store import OutboxEntry
from cryptoproto.gateway import GatewayClient
from cryptoproto.gateway.calls import Call, CallCancel, CallPlace, Hello, OutcomeOf, Reply, encode
from cryptoproto.gateway.records import Placed
from cryptoproto.gateway.strategy import commands, link
from tests.support.nats_server import NatsServer
from tests.support.scripted_owner import ScriptedOwner


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_ASK_AGAIN_S", 0.01)
    monkeypatch.setattr(link, "_GRACE_S", 0.05)


@pytest.fixture
async def owner(nats: NatsServer) -> AsyncIterator[ScriptedOwner]:
    async with ScriptedOwner.at(nats.url) as owner:
        yield owner


@pytest.fixture
async def client(nats: NatsServer, owner: ScriptedOwner) -> AsyncIterator[GatewayClient]:
    async with GatewayClient(nats.url, client_id="alice", strategy="one") as client:
        yield client


async def place(client: GatewayClient, timeout: float = 5.0, *, wait: bool = False) -> cp.Order:
    return await client.place("BTC_USD", "buy", amount="1", price="100", timeout=timeout, wait=wait)


def accepted(owner: ScriptedOwner, order_id: int = 7, client_order_id: int | None = None) -> Reply:
    return owner.reply(Placed(order_id, Decimal(1), Decimal(1), Decimal(100), False, client_order_id))


async def test_the_reply_says_that_an_order_is_accepted(owner: ScriptedOwner, client: GatewayClient) -> None:
    owner.answer = lambda call: accepted(owner) if isinstance(call, CallPlace) else None
    order = await place(client)
    assert (order.order_id, order.is_open) == (7, True)


async def test_the_early_reply_of_an_owner_that_was_deposed_is_no_outcome(
    owner: ScriptedOwner, client: GatewayClient
) -> None:
    """It has not looked at the command: only an owner with the fence of the call has."""

    def answer(call: Call) -> Reply | None:
        if isinstance(call, CallPlace):
            return owner.reply(error=cp.RequestNotSent("not mine"), fence=owner.fence - 1)
        return accepted(owner) if isinstance(call, OutcomeOf) else None

    owner.answer = answer
    assert (await place(client)).is_open
    assert [type(call) for call in owner.calls[-2:]] == [CallPlace, OutcomeOf]


async def test_a_newer_owner_gets_the_same_command(owner: ScriptedOwner, client: GatewayClient) -> None:
    def answer(call: Call) -> Reply | None:
        if isinstance(call, CallPlace):
            if call.fence == 1:
                owner.fence = 2
                return owner.reply(error=cp.RequestNotSent("another gateway has become the owner"))
            return accepted(owner)
        return None

    owner.answer = answer
    assert (await place(client, wait=True)).is_open
    first, second = (call for call in owner.calls if isinstance(call, CallPlace))
    assert (first.command, first.given_at) == (second.command, second.given_at)
    assert [first.fence, second.fence] == [1, 2]


async def test_nobody_waits_for_the_next_owner_unasked(owner: ScriptedOwner, client: GatewayClient) -> None:
    def answer(call: Call) -> Reply | bytes | None:
        if isinstance(call, CallPlace):
            return owner.reply(error=cp.RequestNotSent("another"), fence=2)
        return b"" if isinstance(call, Hello) else None

    owner.answer = answer
    with pytest.raises(cp.RequestNotSent, match="another gateway"):
        await place(client)
    assert client.orders.open == []


async def test_a_lost_reply_is_asked_for(owner: ScriptedOwner, client: GatewayClient) -> None:
    asked = 0

    def answer(call: Call) -> Reply | bytes | None:
        nonlocal asked
        if isinstance(call, CallPlace):
            return b"rubbish"
        if isinstance(call, OutcomeOf):
            asked += 1
            return owner.reply(pending=True) if asked == 1 else b"rubbish" if asked == 2 else accepted(owner)
        return None

    owner.answer = answer
    assert (await place(client)).is_open
    assert asked == 3


async def test_an_outcome_after_the_deadline_is_reported(owner: ScriptedOwner, client: GatewayClient) -> None:
    known = asyncio.Event()

    def answer(call: Call) -> Reply | bytes | None:
        if isinstance(call, CallPlace):
            return b""
        if isinstance(call, OutcomeOf):
            return accepted(owner) if known.is_set() else owner.reply(pending=True)
        return None

    owner.answer = answer
    reports = client.reports()
    with pytest.raises(cp.OutcomeUnknown, match="will be reported"):
        await place(client, 0.05)
    known.set()
    async with asyncio.timeout(10):
        report = await anext(reports)
    assert isinstance(report, cp.OutcomeReport)
    assert (report.kind, report.error) == (Kind.PLACE, None)


async def test_an_order_that_is_refused_leaves_the_table(owner: ScriptedOwner, client: GatewayClient) -> None:
    error = cp.InsufficientFundsError("USD", 9)
    owner.answer = lambda call: owner.reply(error=error) if isinstance(call, CallPlace) else None
    with pytest.raises(cp.InsufficientFundsError):
        await place(client)
    assert client.orders.open == []


async def test_a_repetition_gets_the_order_of_the_first_call(owner: ScriptedOwner, client: GatewayClient) -> None:
    owner.answer = lambda call: accepted(owner, client_order_id=5) if isinstance(call, CallPlace) else None
    order = await client.place("BTC_USD", "buy", amount="1", price="100", command_id="mine")
    again = await client.place("BTC_USD", "sell", amount="1", price="100", command_id="mine")
    assert (order.order_id, order.client_order_id) == (7, 5)
    assert again is order


@pytest.mark.parametrize("kind", [CallPlace, CallCancel])
async def test_the_next_process_asks_what_became_of_a_command(
    kind: type[CallPlace | CallCancel], nats: NatsServer, owner: ScriptedOwner, tmp_path: Path
) -> None:
    store = tmp_path / "one.db"
    calling: asyncio.Future[Any]
    owner.answer = lambda call: b"" if isinstance(call, kind) else accepted(owner) if is_place(call) else None
    async with GatewayClient(nats.url, client_id="alice", strategy="one", store=store) as client:
        if kind is CallPlace:
            calling = asyncio.ensure_future(place(client, 60))
        else:
            order = await place(client)
            calling = asyncio.ensure_future(client.cancel(order, timeout=60))
        await owner.received(kind)
    with pytest.raises(cp.OutcomeUnknown, match="closed before the answer") as caught:
        await calling
    assert caught.value.sent
    owner.answer = lambda call: owner.reply() if isinstance(call, OutcomeOf) else None
    async with GatewayClient(nats.url, client_id="alice", strategy="one", store=store) as client:
        async with asyncio.timeout(10):
            report = await anext(client.reports())
        assert isinstance(report, cp.OutcomeReport)
        assert report.kind is (Kind.PLACE if kind is CallPlace else Kind.CANCEL)
        assert report.error is None


def is_place(call: Call) -> bool:
    return isinstance(call, CallPlace)


async def test_a_command_that_cannot_be_stored_is_not_sent(
    owner: ScriptedOwner, nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise cp.StoreError("the disk is full")

    store = cp.MemoryStore()
    async with GatewayClient(nats.url, client_id="alice", strategy="one", store=store) as client:
        order = await placed_order(owner, client)
        monkeypatch.setattr(store, "put", fail)
        with pytest.raises(cp.StoreError):
            await place(client)
        with pytest.raises(cp.StoreError):
            await client.cancel(order)
        assert client.orders.open == [order]
    assert sum(is_place(call) for call in owner.calls) == 1


async def placed_order(owner: ScriptedOwner, client: GatewayClient) -> cp.Order:
    owner.answer = lambda call: accepted(owner) if is_place(call) else None
    return await place(client)


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("remaining", ["1", "0.4"])
async def test_the_reply_says_what_was_left_of_an_order_that_is_cancelled(
    owner: ScriptedOwner, client: GatewayClient, side: str, remaining: str
) -> None:
    """The events may come later, also those of fills before the cancel. A replace() needs the rest now."""

    def answer(call: Call) -> Reply | None:
        if isinstance(call, CallCancel):
            return owner.reply(Placed(call.order_id, Decimal(1), Decimal(remaining), Decimal(100), True, None))
        return accepted(owner) if is_place(call) else None

    owner.answer = answer
    order = await client.place("BTC_USD", side, amount="1", price="100")
    assert await client.cancel(order)
    assert (order.status, order.remaining) == (cp.OrderStatus.CANCELLED, Decimal(remaining))
    assert client.orders.open == []


async def test_a_cancel_of_an_order_that_is_not_known_or_closed_changes_nothing(
    owner: ScriptedOwner, client: GatewayClient
) -> None:
    owner.answer = lambda call: accepted(owner, 99) if isinstance(call, CallCancel) else None
    assert await client.cancel(order_id=99)
    assert client.orders.get(99) is None


async def test_a_call_that_is_cancelled_after_its_outcome_is_reported(
    owner: ScriptedOwner, client: GatewayClient
) -> None:
    owner.answer = lambda call: b"" if is_place(call) else accepted(owner) if isinstance(call, OutcomeOf) else None
    reports = client.reports()
    placing = asyncio.ensure_future(place(client, 60))
    await owner.received(CallPlace)
    placing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await placing
    async with asyncio.timeout(10):
        report = await anext(reports)
    assert isinstance(report, cp.OutcomeReport)
    assert report.error is None


async def test_an_entry_of_the_store_that_is_no_command_is_left_alone(nats: NatsServer, owner: ScriptedOwner) -> None:
    store = cp.MemoryStore()
    store.put(OutboxEntry(kind="place", payload=encode(Hello()), created_ns=1))
    async with GatewayClient(nats.url, client_id="alice", strategy="one", store=store) as client:
        assert client._commands.unanswered == 0
