"""Market data over a gateway, with a real NATS server and the embedded exchange."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from nats import connect

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient, GatewayMarketData, Operator
from cryptoproto.gateway.feed_codec import Numbered, encode_update
from cryptoproto.gateway.names import Names
from tests.support.nats_server import NatsServer, nats_server

NAMES = Names("alice")


class Desk:
    def __init__(self, nats: NatsServer, exchange: Exchange, key: cp.PrivateKey) -> None:
        self.nats = nats
        self.exchange = exchange
        self._key = key

    def gateway(self) -> Gateway:
        return Gateway(
            self.nats.url,
            url=self.exchange.url,
            client_id="alice",
            private_key=self._key,
            server_key=self.exchange.public_key,
            market_data_url=self.exchange.market_data_url,
        )

    def feed(self, *pairs: str) -> GatewayMarketData:
        return GatewayMarketData(self.nats.url, client_id="alice", strategy="mm1", pairs=pairs or None)

    @asynccontextmanager
    async def trader(self) -> AsyncIterator[GatewayClient]:
        async with GatewayClient(self.nats.url, client_id="alice", strategy="mm1") as client:
            yield client


@pytest.fixture
async def desk(tmp_path: Path, alice_key: cp.PrivateKey) -> AsyncIterator[Desk]:
    with nats_server(tmp_path) as nats:
        async with Exchange(book_interval=0.001) as exchange:
            exchange.register("alice", alice_key.public_key, balances={"USD": "1000000", "BTC": "10"})
            yield Desk(nats, exchange, alice_key)


async def until_best_bid(feed: cp.MarketData, price: str) -> None:
    """Wait until the book has this best bid."""
    async with asyncio.timeout(20):
        async for update in feed:
            best = feed.book("BTC_USD").best_bid
            if isinstance(update, cp.OrderBookAgg) and best is not None and best[0] == Decimal(price):
                return


async def test_books_instruments_and_later_changes(desk: Desk) -> None:
    async with desk.gateway() as owner, desk.trader() as client, desk.feed() as feed:
        await owner.wait_owner()
        await client.place("BTC_USD", "buy", amount="1", price="100", wait=True)
        await until_best_bid(feed, "100")
        await client.place("BTC_USD", "buy", amount="1", price="101")
        await until_best_bid(feed, "101")
        assert "BTC_USD" in feed.instruments
        assert isinstance(feed, cp.MarketData)
        assert "alice" in repr(feed)
        async with desk.feed("BTC_USD") as newcomer:
            book = await newcomer.wait_book("BTC_USD", timeout=10)
            assert book.best_bid == (Decimal(101), Decimal(1))
            with pytest.raises(cp.ConfigurationError):
                newcomer.book("ETH_USD")
        assert feed.gaps == 0


async def test_the_feed_goes_on_with_the_next_owner(desk: Desk) -> None:
    async with (
        desk.gateway() as first,
        desk.trader() as client,
        desk.feed() as feed,
        Operator(desk.nats.url, "alice") as operator,
    ):
        await first.wait_owner()
        await client.place("BTC_USD", "buy", amount="1", price="100", wait=True)
        await until_best_bid(feed, "100")
        async with desk.gateway() as second:
            await operator.handover()
            await second.wait_owner()
            await client.place("BTC_USD", "buy", amount="1", price="102", wait=True)
            await until_best_bid(feed, "102")


async def test_a_gap_is_healed_by_asking_for_the_book(desk: Desk) -> None:
    async with desk.gateway() as owner, desk.trader() as client, desk.feed() as feed:
        await owner.wait_owner()
        await client.place("BTC_USD", "buy", amount="1", price="100", wait=True)
        await until_best_bid(feed, "100")
        nc = await connect(desk.nats.url)
        try:
            # As if the messages before had been lost on their way.
            skipped = Numbered(owner.fence, 1000, False, "BTC_USD", b"")
            await nc.publish(NAMES.market_of("BTC_USD"), encode_update(skipped))
            await nc.flush()
        finally:
            await nc.close()
        async with asyncio.timeout(20):
            async for _ in feed:  # a book arrives although nothing has changed
                if feed.gaps and feed.book("BTC_USD").best_bid is not None:
                    break
        assert feed.gaps == 1
        assert feed.book("BTC_USD").best_bid == (Decimal(100), Decimal(1))


async def test_books_are_stale_while_the_owner_has_no_market_data(desk: Desk) -> None:
    async with desk.gateway() as owner, desk.trader() as client, desk.feed() as feed:
        await owner.wait_owner()
        await client.place("BTC_USD", "buy", amount="1", price="100", wait=True)
        book = await feed.wait_book("BTC_USD", timeout=10)
        states = feed.states()
        await desk.exchange.restart()
        async with asyncio.timeout(20):
            async for change in states:
                if change.state is cp.FeedState.WAITING:
                    break
        assert book.is_stale
        assert (await feed.wait_book("BTC_USD", timeout=20)).best_bid == (Decimal(100), Decimal(1))


async def test_without_a_gateway_the_feed_waits(desk: Desk) -> None:
    async with desk.feed() as feed:
        async with asyncio.timeout(20):
            async for change in feed.states():
                if change.state is cp.FeedState.WAITING:
                    break
        assert "no gateway publishes market data" in change.reason
        async with desk.gateway() as owner:
            await owner.wait_owner()
            await feed.wait_connected(timeout=20)


async def test_the_price_band_is_around_the_mid_of_the_published_book(desk: Desk) -> None:
    async with desk.gateway() as owner, desk.trader() as client, Operator(desk.nats.url, "alice") as operator:
        await owner.wait_owner()
        await client.place("BTC_USD", "buy", amount="1", price="99", wait=True)
        await client.place("BTC_USD", "sell", amount="1", price="101")
        await operator.set_limits("mm1", price_band="0.1")
        async with desk.feed() as feed:
            await until_ask(feed)
        await client.place("BTC_USD", "buy", amount="1", price="95")
        with pytest.raises(cp.OrderInvalid, match=r"price_band=0\.1"):
            await client.place("BTC_USD", "buy", amount="1", price="80")


async def until_ask(feed: cp.MarketData) -> None:
    """Wait until the book has an ask."""
    async with asyncio.timeout(20):
        async for _ in feed:
            if feed.book("BTC_USD").best_ask is not None:
                return


async def test_without_nats_the_feed_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.gateway.nats_connection._OPEN_S", 0.2)
    desk.nats.kill()
    async with desk.feed() as feed, asyncio.timeout(30):
        async for change in feed.states():
            if change.state is cp.FeedState.WAITING:
                break
    assert "is nats-server running?" in change.reason
