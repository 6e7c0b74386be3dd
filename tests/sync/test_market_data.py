"""The public feed without ``await``."""

from __future__ import annotations

from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange
from tests.support.sync_client import client_of


def test_market_data(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with sync.MarketData(exchange.market_data_url, pairs=["BTC_USD"]) as feed, client_of(exchange, alice_key) as alice:
        feed.wait_connected(timeout=5)
        alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        book = feed.wait_book("BTC_USD", timeout=5)
        while book.best_bid is None:
            assert isinstance(next(iter(feed)), cp.OrderBookAgg | cp.TradingRules)
            book = feed.book("BTC_USD")
        assert book.best_bid == (Decimal(100), Decimal(1))
        assert feed.books["BTC_USD"].best_bid == book.best_bid
        list(feed.updates(timeout=0.1))
        assert [state.state for state in feed.states(timeout=0.05)] == [cp.FeedState.LIVE]
        with pytest.raises(cp.ConfigurationError, match="not among the pairs"):
            feed.book("ETH_USD")
    assert feed.state.state is cp.FeedState.CLOSED
    assert feed.book("BTC_USD").is_stale
    assert book.best_bid == (Decimal(100), Decimal(1))  # a copy


def test_what_a_feed_knows(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with sync.MarketData(exchange.market_data_url) as feed, client_of(exchange, alice_key) as alice:
        feed.wait_book("BTC_USD", timeout=5)
        assert feed.instruments["BTC_USD"] == cp.Instrument("BTC_USD")
        exchange.disable_pairs(["BTC_USD"])
        while not isinstance(next(iter(feed)), cp.TradesDisabledOnPairs):
            pass
        assert feed.disabled_pairs == {"BTC_USD"}
        exchange.enable_pairs(["BTC_USD"])
        while not isinstance(next(iter(feed)), cp.TradesEnabledOnPairs):
            pass
        assert feed.enabled_pairs == {"BTC_USD"}
        alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        assert feed.last_trade("BTC_USD") is None
        assert feed.is_connected
        assert (feed.connections, feed.dropped, feed.crossed_books) == (1, 0, 0)
        assert feed.queued >= 0
        assert feed.source == exchange.market_data_url
        assert feed.pairs is None
        before = feed.time_ns()
        assert before <= feed.time_ns()
    assert not feed.is_connected
