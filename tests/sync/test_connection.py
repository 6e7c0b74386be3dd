"""One connection without ``await``."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange


def test_one_connection(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with sync.connect(
        exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key
    ) as connection:
        assert connection.last_sequence == 0
        assert connection.send(cp.PlaceBuyLimitOrder(trade_pair="BTC_USD", amount="1", price="100")) == 1
        assert isinstance(connection.request(cp.UserBalanceRequest()), cp.UserBalanceResponse)
        assert connection.request(cp.UserBalanceRequest(), raw=True)["@type"] == "UserBalanceResponse"
        assert [type(event.message) for event in connection.events(timeout=0.1)] == [cp.SetBalance, cp.BuyOrderPlaced]
        exchange.disconnect("alice", 4009)
        with pytest.raises(cp.RateLimited):
            next(iter(connection))
        assert isinstance(connection.error, cp.RateLimited)
    assert not connection.is_open
    with pytest.raises(cp.ConnectionClosed, match="the connection is closed"):
        connection.send(cp.CancelAllOrders())
    with pytest.raises(cp.ConfigurationError, match="encrypted"):
        sync.connect("ws://example.com", client_id="a", private_key=alice_key, server_key=exchange.public_key)


def test_events_by_the_batch(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with sync.connect(
        exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key
    ) as connection:
        connection.send(cp.PlaceBuyLimitOrder(trade_pair="BTC_USD", amount="1", price="100"))
        events = [event for batch in connection.batches(timeout=0.2) for event in batch]
        assert [type(event.message) for event in events] == [cp.SetBalance, cp.BuyOrderPlaced]


def test_what_a_connection_knows(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with sync.connect(
        exchange.url,
        client_id="alice",
        private_key=alice_key,
        server_key=exchange.public_key,
        protocol=cp.Protocol.V5,
    ) as connection:
        assert connection.protocol is cp.Protocol.V5
        assert connection.hold == 0.0
        assert connection.in_flight == connection.queued == 0
        assert connection.is_open
        assert iter(connection) is iter(connection)
        assert connection.error is None
    assert connection.error is None
