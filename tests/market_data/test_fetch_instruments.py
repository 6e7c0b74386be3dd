"""The rules of all pairs, learned from an exchange."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.scripted_feed import FeedPeer, FeedServer, book
from tests.support.virtual_time import virtual

BTC = cp.Instrument("BTC_USD", tick_size="0.01", lot_size="0.001", max_amount="100")


async def test_the_rules_of_the_exchange_of_this_package(exchange_key: cp.PrivateKey) -> None:
    pairs = ["BTC_USD", "ETH_USD"]
    async with Exchange(private_key=exchange_key, trade_pairs=pairs, instruments=[BTC]) as exchange:
        instruments = await cp.fetch_instruments(exchange.market_data_url)
        assert instruments == (BTC, cp.Instrument("ETH_USD"))
        async with cp.MarketData(exchange.market_data_url, pairs=["BTC_USD"]) as feed:
            assert feed.instruments == {}
            await feed.wait_book("BTC_USD", timeout=10)
            assert feed.instruments == {"BTC_USD": BTC}
            exchange.set_instruments([])
            while feed.instruments["BTC_USD"] == BTC:
                await anext(feed)
            assert feed.instruments == {"BTC_USD": cp.Instrument("BTC_USD")}


@virtual
async def test_an_exchange_that_does_not_publish_its_rules() -> None:
    def script(peer: FeedPeer) -> None:
        peer.hello()
        peer.say(book())

    with pytest.raises(cp.ConfigurationError, match="does not publish the rules of its pairs: its first message is"):
        await cp.fetch_instruments("ws://localhost", transport=FeedServer(script))


@virtual
async def test_an_exchange_that_says_nothing() -> None:
    with pytest.raises(cp.RequestTimeout, match=r"ws://localhost is connected and has sent nothing within 3 s; if the"):
        await cp.fetch_instruments("ws://localhost", transport=FeedServer(), timeout=3)


@virtual
async def test_nobody_answers() -> None:
    server = FeedServer()
    server.refusal = cp.ConnectError(None, "connection refused")
    with pytest.raises(cp.RequestTimeout, match=r"no connection was made within 3 s; .* connection refused"):
        await cp.fetch_instruments("ws://localhost", transport=server, timeout=3)


@virtual
async def test_rules_that_are_impossible_are_asked_for_again() -> None:
    def script(peer: FeedPeer) -> None:
        peer.hello()
        tick = "0" if len(server.peers) == 1 else "0.01"
        rules = {"trade_pair": "BTC_USD", "tick_size": tick, "lot_size": 1, "min_amount": 1, "min_value": 1}
        peer.say({"@type": "TradingRules", "instruments": [rules]})

    server = FeedServer(script)
    (instrument,) = await cp.fetch_instruments("ws://localhost", transport=server)
    assert instrument.tick_size == instrument.round_price("0.015", "buy")
    assert len(server.peers) == 2
