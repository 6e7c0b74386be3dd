"""Prepared messages and orders without ``await``."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange
from tests.support.sync_client import client_of


def test_a_prepared_message(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with sync.connect(
        exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key
    ) as connection:
        prepared = connection.prepare(cp.CancelAllOrders())
        other = connection.prepare(cp.CancelAllOrders())
        assert repr(prepared) == "<sync.PreparedMessage of 27 bytes, ready>"
        assert prepared.is_ready
        assert prepared.send(urgent=True) == 1
        other.wait_ready()
        other.discard()
        for message in (prepared, other):
            with pytest.raises(cp.OrderInvalid):
                message.send()
        last = connection.prepare(cp.CancelAllOrders())
    assert not last.is_ready
    last.discard()


def test_a_prepared_order(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key, protocol=cp.Protocol.SIGNED, keep_cancels_ready=1) as alice:
        prepared = alice.prepare("BTC_USD", "buy", amount="1", price="100", client_order_id=7)
        other = alice.prepare("BTC_USD", "buy", amount="1", price="100")
        assert prepared.is_ready
        assert prepared.client_order_id == 7
        assert repr(prepared) == "<sync.PreparedOrder of 7>"
        order = prepared.place(timeout=5)
        assert isinstance(order, sync.Order)
        assert order.is_open
        other.wait_ready()
        other.discard()
        with pytest.raises(cp.OrderInvalid, match="discarded already"):
            other.place()
        assert alice.cancel(order)
        last = alice.prepare("BTC_USD", "buy", amount="1", price="100")
    assert not last.is_ready
    last.discard()
