"""A gateway and its strategies, with a real NATS server and the embedded exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self

import pytest
from nats import connect

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient, Operator, StrategyLimits
from cryptoproto.gateway import gateway as gateway_module
from cryptoproto.gateway.owner.strategies import Strategies
from cryptoproto.gateway.records import Answered, Intent
from tests.support.nats_server import NatsServer
from tests.support.witness import command_log


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
        with pytest.raises(cp.OrderInvalid, match="max_open_orders=1"):
            await limited.place("BTC_USD", "buy", amount="1", price="15000")
        await operator.kill("mm2")
        # The cancel of the kill is written after everything that became known before it.
        log = [each for each in await command_log(nats.url) if isinstance(each, Intent | Answered)]
        assert [type(each) for each in log if each.strategy == "mm1"] == [Intent, Answered], "a refusal is not logged"
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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lease_s": 0.1}, r"lease_s=0\.1"),
        ({"lease_s": float("nan")}, "lease_s=nan"),
        ({"on_event": print}, "leave on_event out"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], words: str, alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        Gateway(
            "nats://127.0.0.1:1",
            url="ws://127.0.0.1:1",
            client_id="alice",
            private_key=alice_key,
            server_key=alice_key.public_key,
            **options,
        )


async def test_what_a_gateway_counts(nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    first, second = gateway(nats, exchange, alice_key), gateway(nats, exchange, alice_key)
    assert first.metrics().gauges == {"is_owner": 0.0, "fence": 0.0}
    async with first, GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
        await first.wait_owner()
        await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
        async with second:
            counted = first.metrics()
            assert (counted.gauges["is_owner"], counted.gauges["fence"]) == (1.0, first.fence)
            assert counted.counters["takeovers"] == 1
            assert counted.counters["orders_acknowledged"] == 1
            assert {"event_stream_position", "event_stream_lag"} < set(counted.gauges)
            assert second.metrics().counters == {"takeovers": 0}


async def test_a_gateway_that_was_not_started(nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    unused = gateway(nats, exchange, alice_key)
    await unused.wait_lost()
    await unused.wait_closed()
    await unused.close()
    assert (unused.is_owner, unused.fence, unused.client) == (False, 0, None)


async def test_streams_that_are_in_the_way(nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    nc = await connect(nats.url)
    try:
        js = nc.jetstream()
        await js.add_stream(name="other", subjects=["$KV.cryptoproto-leases.>"])
        with pytest.raises(GatewayError, match="refuses what a gateway needs"):
            await gateway(nats, exchange, alice_key).start()
        await js.delete_stream("cryptoproto-alice-log")
        await js.add_stream(name="third", subjects=["cryptoproto.alice.log"])
        with pytest.raises(GatewayError, match="the stream cryptoproto-alice-log cannot be used"):
            await gateway(nats, exchange, alice_key).start()
    finally:
        await nc.close()


async def test_the_owner_stands_back_from_another_program(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections with one client id must not take turns; later the gateway tries again."""
    monkeypatch.setattr("cryptoproto.gateway.gateway._TAKEN_OVER_PAUSE_S", 0.3)
    async with gateway(nats, exchange, alice_key) as owner:
        await owner.wait_owner()
        fence = owner.fence
        losing = asyncio.ensure_future(owner.wait_lost())
        async with asyncio.timeout(20):
            other = await cp.connect(
                exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key
            )
            await losing
            await owner.wait_owner()
        assert owner.fence > fence
        await other.close()


async def test_an_entry_that_is_not_a_lease_ends_the_gateway(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    async with gateway(nats, exchange, alice_key) as owner:
        await owner.wait_owner()
        nc = await connect(nats.url)
        try:
            await (await nc.jetstream().key_value("cryptoproto-leases")).put("alice", b"rubbish")
        finally:
            await nc.close()
        async with asyncio.timeout(20):
            with pytest.raises(GatewayError, match="is not a lease"):
                await owner.wait_closed()
        assert not owner.is_owner


async def test_books_for_price_bands_that_end(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    """Orders do not depend on them, but for those with a price band."""

    class Ending:
        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            """It is closed."""

        async def __aiter__(self) -> AsyncIterator[object]:
            yield object()
            raise cp.DecodeError("a version that is not supported")

    feed: Any = Ending()
    await gateway_module._follow(feed)
    assert "orders with a price band are refused" in caplog.text


async def test_an_ownership_that_has_ended_is_not_taken_up_by_the_next_one_of_the_same_process(
    nats: NatsServer, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    """Otherwise what is left of it would answer, and could send, while the process owns the session again."""
    async with gateway(nats, exchange, alice_key) as owner, Operator(nats.url, "alice") as operator:
        await owner.wait_owner()
        first, fence = owner._ownership, owner.fence
        assert first is not None
        assert first._holds()
        losing = asyncio.ensure_future(owner.wait_lost())
        await operator.handover()
        async with asyncio.timeout(20):
            await losing
            await owner.wait_owner()
        assert owner.fence > fence
        assert not first._holds()
