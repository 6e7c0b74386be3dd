"""The face of a strategy: its options, its start and its end. The rest is in test_either_client.py."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway import Gateway, GatewayClient, nats_connection
from cryptoproto.gateway.calls import Call, Hello
from cryptoproto.gateway.strategy_ids import strategy_number
from tests.support.nats_server import NatsServer
from tests.support.scripted_owner import ScriptedOwner


async def until_live(client: GatewayClient) -> None:
    async with asyncio.timeout(10):
        async for change in client.states():
            if change.state is cp.State.LIVE:
                return


async def test_orders_carry_the_number_of_the_strategy(gateway: Gateway, nats: NatsServer) -> None:
    async with (
        GatewayClient(nats.url, client_id="alice", strategy="one") as one,
        GatewayClient(nats.url, client_id="alice", strategy="two") as two,
    ):
        orders = [await each.place("BTC_USD", "buy", amount="1", price="1", wait=True) for each in (one, two)]
        assert [strategy_number(order.client_order_id) for order in orders] == [one.number, two.number]
        assert one.number != two.number
        await one.cancel_all()
        await orders[0].wait_closed(10)
        assert two.orders.open == [orders[1]]
        assert repr(two).startswith("<GatewayClient alice/two: live, position ")
        await two.open_orders()  # the cancel reaches each strategy at a time of its own
        assert two.known_balances["USD"].on_hold == Decimal(1)


async def test_limits_are_checked_before_anything_is_sent(nats: NatsServer) -> None:
    async with ScriptedOwner.at(nats.url) as owner:
        rules = cp.Instrument("BTC_USD", tick_size="0.5", lot_size="0.1")
        async with GatewayClient(nats.url, client_id="alice", strategy="one", instruments=[rules]) as client:
            await until_live(client)
            with pytest.raises(cp.OrderInvalid):
                await client.place("BTC_USD", "buy", amount="1", price="100.3")
            assert client.instruments["BTC_USD"] is rules
            assert {type(call).__name__ for call in owner.calls} == {"OpenEvents", "TakeSnapshot"}


async def test_a_refused_request_raises(nats: NatsServer) -> None:
    async with (
        ScriptedOwner.at(nats.url) as owner,
        GatewayClient(nats.url, client_id="alice", strategy="one") as client,
    ):
        await until_live(client)
        assert client.instruments == {}
        owner.answer = lambda call: owner.reply(error=cp.RequestTimeout("no response"))
        with pytest.raises(cp.RequestTimeout):
            await client.balances()


async def test_the_first_failure_of_many_cancels_is_raised(gateway: Gateway, nats: NatsServer) -> None:
    async with GatewayClient(nats.url, client_id="alice", strategy="one") as client:
        order = await client.place("BTC_USD", "buy", amount="1", price="1", wait=True)
        with pytest.raises(cp.RequestNotSent):
            await client.cancel_all(timeout=0)
        await client.cancel_all()
        await order.wait_closed(10)


async def test_a_start_that_is_cancelled_leaves_nothing(nats: NatsServer) -> None:
    async with ScriptedOwner.at(nats.url) as owner:
        greeted = asyncio.Event()

        def answer(call: Call) -> bytes:
            if isinstance(call, Hello):
                greeted.set()
            return b""

        owner.answer = answer
        before = asyncio.all_tasks()
        client = GatewayClient(nats.url, client_id="alice", strategy="one")
        starting = asyncio.ensure_future(client.start())
        await greeted.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert client.state.state is cp.State.CLOSED
        assert asyncio.all_tasks() == before


async def test_a_start_without_nats_frees_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_connection, "_OPEN_S", 0.1)
    for _ in range(2):
        client = GatewayClient("nats://127.0.0.1:1", client_id="alice", strategy="one", store=tmp_path / "one.db")
        with pytest.raises(GatewayError, match="is nats-server running"):
            await client.start()


async def test_looking_for_the_owner_now(nats: NatsServer) -> None:
    async with GatewayClient(nats.url, client_id="alice", strategy="one") as client:
        async with ScriptedOwner.at(nats.url):
            client.reconnect_now()
            await until_live(client)
        assert client.number == 1


@pytest.mark.parametrize("name", ["", "a b", "a.b", "*", "x" * 65])
async def test_a_name_that_cannot_be_one(name: str) -> None:
    with pytest.raises(cp.ConfigurationError):
        GatewayClient("nats://127.0.0.1:1", client_id="alice", strategy=name)
