"""A feed as the market of an exchange."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.commands import Observed
from cryptoproto.exchange.market_source import SourceObserver
from tests.support.recordings import PushFeed
from tests.support.scripted_feed import book, trade


def test_an_observer_passes_on_what_an_exchange_needs() -> None:
    seen: list[Observed] = []
    observer = SourceObserver(None, seen.append)
    observer.on_update(book(1))
    observer.on_update(cp.Unknown("Auction", {}))
    observer.on_state(cp.FeedStateChange(cp.FeedState.LIVE, "connected"))
    observer.on_state(cp.FeedStateChange(cp.FeedState.WAITING, "lost"))
    assert seen == [book(1), None]
    observer.close()


async def test_an_observer_follows_its_source_until_it_is_closed() -> None:
    seen: list[Observed] = []
    async with PushFeed() as feed:
        observer = SourceObserver(feed, seen.append)
        feed.push(trade(1))
        observer.close()
        observer.close()
        feed.push(trade(2))
    assert seen == [trade(1)]


async def test_a_bot_trades_on_real_sockets_with_the_market_of_a_feed(
    alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    async with (
        PushFeed(pairs=["BTC_USD"]) as market,
        Exchange(private_key=exchange_key, feed=market, book_interval=0.001) as exchange,
    ):
        assert exchange.venue.engine.trade_pairs == ("BTC_USD",)
        exchange.register("alice", alice_key.public_key, {"USD": "1000"})
        market.push(book(7), trade(7))
        async with (
            cp.MarketData(exchange.market_data_url) as feed,
            cp.Client(exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key) as client,
        ):
            shown = await feed.wait_book("BTC_USD", timeout=10)
            assert shown.best_ask == (Decimal(101), Decimal(2))
            order = await client.place("BTC_USD", "buy", amount="1", price="101")
            await order.wait_closed(timeout=10)
            assert order.average_price == 101
            waiting = asyncio.ensure_future(anext(update async for update in feed if update == trade(8)))
            market.push(trade(8))
            await asyncio.wait_for(waiting, 10)
            assert shown.best_ask == (Decimal(101), Decimal(2))
        await exchange.close()
        market.push(book(9))
        assert exchange.book("BTC_USD").current_order_id == 7


def test_a_recorded_market_has_no_journal(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"a\.db.*an exchange with feed= has no journal"):
        Exchange(tmp_path / "a.db", feed=PushFeed())
    assert list(tmp_path.iterdir()) == []
