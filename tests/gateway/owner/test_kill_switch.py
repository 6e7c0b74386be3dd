"""A strategy is killed at any moment, with a real NATS server and the embedded exchange."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient, Operator
from tests.support.nats_server import NatsServer, nats_server


async def test_orders_on_their_way_do_not_outlive_a_kill(tmp_path: Path, alice_key: cp.PrivateKey) -> None:
    """Paced by the owner, most of them have not been sent when the strategy is killed."""
    with nats_server(tmp_path) as nats:
        async with Exchange() as exchange:
            exchange.register("alice", alice_key.public_key, balances={"USD": "1000000"})
            async with (
                Gateway(
                    nats.url,
                    url=exchange.url,
                    client_id="alice",
                    private_key=alice_key,
                    server_key=exchange.public_key,
                    order_rate=20,
                ),
                GatewayClient(nats.url, client_id="alice", strategy="mm1") as strategy,
                GatewayClient(nats.url, client_id="alice", strategy="mm2") as other,
                Operator(nats.url, "alice") as operator,
            ):
                kept = await other.place("BTC_USD", "buy", amount="1", price="100", wait=True)
                first = await strategy.place("BTC_USD", "buy", amount="1", price="100", wait=True)
                placing = [
                    asyncio.ensure_future(strategy.place("BTC_USD", "buy", amount="1", price="101")) for _ in range(60)
                ]
                await asyncio.wait(placing, return_when=asyncio.FIRST_COMPLETED)
                await operator.kill("mm1")
                await first.wait_closed(10)
                outcomes = await asyncio.gather(*placing, return_exceptions=True)
                placed = [each for each in outcomes if isinstance(each, cp.Order)]
                refused = [each for each in outcomes if isinstance(each, cp.OrderInvalid | cp.RequestNotSent)]
                assert len(placed) + len(refused) == 60
                assert refused
                for order in placed:
                    await order.wait_closed(10)
                assert [each.order_id for each in await other.open_orders()] == [kept.order_id]
                with pytest.raises(cp.OrderInvalid, match="was killed"):
                    await strategy.place("BTC_USD", "buy", amount="1", price="100", wait=True)
                book = exchange.open_orders("alice").order_books["BTC_USD"]
                assert [each.order_id for each in book.buy] == [kept.order_id]


async def test_a_kill_while_the_exchange_cannot_be_reached(
    gateway: Gateway, exchange: Exchange, nats: NatsServer
) -> None:
    """The operator gets an answer, and the orders are cancelled by the next live session."""
    async with (
        GatewayClient(nats.url, client_id="alice", strategy="mm1") as strategy,
        Operator(nats.url, "alice") as operator,
    ):
        await strategy.place("BTC_USD", "buy", amount="1", price="100", wait=True)
        await exchange.close()
        assert gateway.client is not None
        async for change in gateway.client.states():
            if change.state is not cp.State.LIVE:
                break
        reply = await operator.kill("mm1")
        assert (reply.cancelled, reply.not_cancelled) == (0, 1)
