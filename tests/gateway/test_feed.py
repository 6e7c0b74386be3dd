"""A process that publishes market data instead of the owner, with a real NATS server and the embedded exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal

import pytest
from nats import connect

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient, GatewayFeed, GatewayMarketData, Operator
from tests.support.nats_server import NatsServer


@pytest.fixture
async def exchange(keys: dict[str, cp.PrivateKey]) -> AsyncIterator[Exchange]:
    async with Exchange(private_key=keys["exchange"], book_interval=0.001) as exchange:
        exchange.register("alice", keys["alice"].public_key, balances={"USD": "1000000", "BTC": "10"})
        yield exchange


def publisher(nats: NatsServer, exchange: Exchange) -> GatewayFeed:
    return GatewayFeed(nats.url, market_data_url=exchange.market_data_url, client_id="alice", lease_s=0.6)


def reader(nats: NatsServer) -> GatewayMarketData:
    return GatewayMarketData(nats.url, client_id="alice", strategy="one")


async def until_best_bid(feed: cp.MarketData, price: str) -> None:
    async with asyncio.timeout(20):
        async for _ in feed:
            book = feed.book("BTC_USD") if "BTC_USD" in feed.instruments else None
            if book is not None and not book.is_stale and book.best_bid == (Decimal(price), Decimal(1)):
                return


async def test_strategies_get_books_from_another_process_than_the_owner(
    nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    owner = Gateway(
        nats.url,
        url=exchange.url,
        client_id="alice",
        private_key=keys["alice"],
        server_key=exchange.public_key,
        market_data_url=exchange.market_data_url,
        publish_market_data=False,
    )
    async with (
        owner,
        publisher(nats, exchange) as feed,
        GatewayClient(nats.url, client_id="alice", strategy="one") as client,
        reader(nats) as books,
        Operator(nats.url, "alice") as operator,
    ):
        await feed.wait_publishing()
        await client.place("BTC_USD", "buy", amount="1", price="99", wait=True)
        await client.place("BTC_USD", "sell", amount="1", price="101")
        await until_best_bid(books, "99")
        assert books.gaps == 0
        await operator.set_limits("one", price_band="0.1")  # checked by the owner, which reads the market data, too
        async with asyncio.timeout(20):
            while True:
                with suppress(cp.OrderInvalid):  # it does not have the book yet
                    await client.place("BTC_USD", "buy", amount="1", price="98")
                    break
        with pytest.raises(cp.OrderInvalid, match=r"price_band=0\.1"):
            await client.place("BTC_USD", "buy", amount="1", price="80")


async def test_a_standby_publishes_when_the_first_is_closed(nats: NatsServer, exchange: Exchange) -> None:
    first, second = publisher(nats, exchange), publisher(nats, exchange)
    await first.start()
    await first.wait_publishing()
    async with second, reader(nats) as books:
        await books.wait_connected(timeout=20)
        assert [first.is_publishing, second.is_publishing, second.fence] == [True, False, 0]
        fence = first.fence
        losing = asyncio.ensure_future(first.wait_lost())
        await first.close()
        await first.close()
        await losing
        async with asyncio.timeout(20):
            await second.wait_publishing()
            assert second.fence > fence
            async for change in books.states():
                if change.state is cp.FeedState.LIVE and books.is_connected:
                    break


async def test_a_feed_that_was_not_started_or_is_closed(nats: NatsServer, exchange: Exchange) -> None:
    feed = publisher(nats, exchange)
    await feed.wait_closed()
    await feed.wait_lost()
    assert (feed.is_publishing, feed.fence) == (False, 0)
    with pytest.raises(GatewayError, match="the feed is closed"):
        await feed.wait_publishing()
    async with feed:
        await feed.wait_publishing()
    with pytest.raises(GatewayError, match="the feed is closed"):
        await feed.wait_publishing()


async def test_an_entry_that_is_not_a_lease(nats: NatsServer, exchange: Exchange) -> None:
    nc = await connect(nats.url)
    try:
        bucket = await nc.jetstream().create_key_value(bucket="cryptoproto-leases")
        await bucket.put("alice.market", b"rubbish")
    finally:
        await nc.close()
    async with publisher(nats, exchange) as feed:
        with pytest.raises(GatewayError, match="is not a lease"):
            await feed.wait_publishing()


async def test_a_server_without_jetstream(nats: NatsServer, exchange: Exchange) -> None:
    feed = publisher(nats, exchange)
    nc = await connect(nats.url)
    try:
        await nc.jetstream().create_key_value(bucket="cryptoproto-leases")
        await nc.jetstream().delete_stream("KV_cryptoproto-leases")
        await nc.jetstream().add_stream(name="other", subjects=["$KV.cryptoproto-leases.>"])  # in the way of the bucket
    finally:
        await nc.close()
    with pytest.raises(GatewayError, match="refuses what a feed needs"):
        await feed.start()


@pytest.mark.parametrize("length", [0.1, float("nan")])
def test_a_lease_that_is_too_short(length: float) -> None:
    with pytest.raises(cp.ConfigurationError, match=f"lease_s={length} must be at least"):
        GatewayFeed("nats://127.0.0.1:1", market_data_url="ws://127.0.0.1:1", client_id="alice", lease_s=length)
