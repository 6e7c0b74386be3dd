"""A gateway and its strategies, with a real NATS server and the embedded exchange."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from nats import connect

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient, Operator, StrategyLimits
from cryptoproto.gateway.owner.strategies import Strategies
from tests.support.nats_server import NatsServer, nats_server


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path) as server:
        yield server


@pytest.fixture
async def exchange(alice_key: cp.PrivateKey) -> AsyncIterator[Exchange]:
    async with Exchange() as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "1000000", "BTC": "10"})
        yield exchange


@pytest.fixture(scope="session")
def alice_key() -> cp.PrivateKey:
    return cp.PrivateKey.generate()


def gateway(nats: NatsServer, exchange: Exchange, key: cp.PrivateKey) -> Gateway:
    return Gateway(nats.url, url=exchange.url, client_id="alice", private_key=key, server_key=exchange.public_key)


async def test_an_order_through_the_gateway(nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    async with gateway(nats, exchange, alice_key) as owner:
        await owner.wait_owner()
        async with GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
            order = await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
            assert order.order_id is not None
            assert order.is_open
            assert [each.order_id for each in await client.open_orders()] == [order.order_id]
            assert await client.cancel(order)
            await order.wait_closed(5)
            assert order.status is cp.OrderStatus.CANCELLED
            assert (await client.balances())["USD"].available == 1000000


async def test_a_standby_follows_an_owner_that_is_closed(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    first, second = gateway(nats, exchange, alice_key), gateway(nats, exchange, alice_key)
    await first.start()
    await first.wait_owner()
    async with second, GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
        before = await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
        assert [first.is_owner, second.is_owner] == [True, False]
        fence = first.fence
        await first.close()
        after = await client.place("BTC_USD", "buy", amount="1", price="14000", wait=True)
        assert [first.is_owner, second.is_owner] == [False, True]
        assert second.fence > fence
        assert [each.order_id for each in await client.open_orders()] == [before.order_id, after.order_id]


async def test_a_repeated_command_gets_the_first_answer(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    async with gateway(nats, exchange, alice_key) as owner:
        await owner.wait_owner()
        async with GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
            first = await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True, command_id="a")
            again = await client.place("BTC_USD", "buy", amount="1", price="15000", command_id="a")
            assert again.order_id == first.order_id
            assert len(await client.open_orders()) == 1


async def test_without_an_owner_a_command_is_refused_at_once(nats: NatsServer) -> None:
    async with GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
        with pytest.raises(cp.RequestNotSent, match="no gateway owns the session"):
            await client.place("BTC_USD", "buy", amount="1", price="15000")


async def test_events_reach_every_strategy_once_and_in_order(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    async with gateway(nats, exchange, alice_key) as owner:
        await owner.wait_owner()
        async with (
            GatewayClient(nats.url, client_id="alice", strategy="one") as one,
            GatewayClient(nats.url, client_id="alice", strategy="all", sees_all=True) as everything,
            GatewayClient(nats.url, client_id="alice", strategy="two") as two,
        ):
            placed = [
                await one.place("BTC_USD", "buy", amount="1", price=str(price), wait=True) for price in range(100, 150)
            ]
            await one.cancel_all()
            seen = []
            async for event in everything.events():
                seen.append(event)
                if isinstance(event.message, cp.BuyOrderCancelled) and event.message.order_id == placed[-1].order_id:
                    break
            ids = [event.transaction_id or -1 for event in seen]
            assert ids == sorted(set(ids))
            assert sum(isinstance(event.message, cp.BuyOrderPlaced) for event in seen) == len(placed)
            assert len(two.orders) == 0
            assert len(everything.orders) == len(placed)


async def test_an_operator_hands_the_session_over_and_kills_a_strategy(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    async with gateway(nats, exchange, alice_key) as first:
        await first.wait_owner()
        async with (
            gateway(nats, exchange, alice_key) as second,
            GatewayClient(nats.url, client_id="alice", strategy="mm1") as client,
            Operator(nats.url, "alice") as operator,
        ):
            await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
            before = await operator.status()
            assert before.state == "live"
            assert before.strategies["mm1"].open_orders == 1
            await operator.handover()
            await second.wait_owner()
            assert not first.is_owner
            after = await operator.status()
            assert after.fence > before.fence
            reply = await operator.kill("mm1")
            assert (reply.cancelled, reply.not_cancelled) == (1, 0)
            with pytest.raises(cp.OrderInvalid, match="was killed"):
                await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
            await operator.revive("mm1")
            await client.place("BTC_USD", "buy", amount="1", price="15000")
            with pytest.raises(cp.ConfigurationError, match="no strategy 'other'; known are: mm1"):
                await operator.kill("other")


async def test_limits_and_a_kill_survive_a_takeover(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    async with (
        gateway(nats, exchange, alice_key) as first,
        GatewayClient(nats.url, client_id="alice", strategy="mm1") as limited,
        GatewayClient(nats.url, client_id="alice", strategy="mm2") as killed,
        Operator(nats.url, "alice") as operator,
    ):
        await first.wait_owner()
        assert await operator.set_limits("mm1", max_open_orders=1) == StrategyLimits(max_open_orders=1)
        with pytest.raises(cp.ConfigurationError, match="no limit 'colour'"):
            await operator.set_limits("mm1", colour="red")
        order = await limited.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
        await killed.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
        log = await stored_messages(nats, "cryptoproto-alice-log")
        with pytest.raises(cp.OrderInvalid, match="max_open_orders=1"):
            await limited.place("BTC_USD", "buy", amount="1", price="15000")
        assert await stored_messages(nats, "cryptoproto-alice-log") == log, "a refused order is not logged"
        await operator.kill("mm2")
        async with gateway(nats, exchange, alice_key) as second:
            await operator.handover()
            await second.wait_owner()
            with pytest.raises(cp.OrderInvalid, match="max_open_orders=1"):
                await limited.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
            with pytest.raises(cp.OrderInvalid, match="was killed"):
                await killed.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
            assert await limited.cancel(order)
            await limited.place("BTC_USD", "buy", amount="1", price="15000")
            assert (await operator.status()).strategies["mm1"].limits == StrategyLimits(max_open_orders=1)
            assert await operator.set_limits("mm1", max_open_orders=None) == StrategyLimits()
            await limited.place("BTC_USD", "buy", amount="1", price="15000")


async def test_a_new_owner_cancels_what_a_killed_strategy_has_open(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    """As after an owner that died between writing the kill down and cancelling."""
    async with GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
        async with gateway(nats, exchange, alice_key) as owner:
            await owner.wait_owner()
            order = await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
        await kill_in_the_bucket(nats, "mm1")
        async with gateway(nats, exchange, alice_key):
            await order.wait_closed(10)
            assert order.status is cp.OrderStatus.CANCELLED


async def stored_messages(server: NatsServer, stream: str) -> int:
    nc = await connect(server.url)
    try:
        return (await nc.jetstream().stream_info(stream)).state.last_seq
    finally:
        await nc.close()


async def kill_in_the_bucket(server: NatsServer, strategy: str) -> None:
    nc = await connect(server.url)
    try:
        strategies = Strategies(await nc.jetstream().key_value("cryptoproto-alice-strategies"))
        await strategies.load()
        await strategies.set_killed(strategy, is_killed=True)
    finally:
        await nc.close()


async def test_an_order_is_replaced(nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    async with gateway(nats, exchange, alice_key) as owner:
        await owner.wait_owner()
        async with GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
            order = await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
            new = await client.replace(order, price="15001")
            assert [each.order_id for each in client.orders.open] == [new.order_id]
