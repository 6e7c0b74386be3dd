"""Orders and the order table without ``await``."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange
from tests.support.sync_client import client_of


def test_everything_that_an_order_knows(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    before = time.time_ns()
    with client_of(exchange, alice_key) as alice, client_of(exchange, alice_key, "bob") as bob:
        order = alice.place(
            "BTC_USD",
            cp.Side.BUY,
            amount="2",
            price="100",
            ttl=3600,
            client_order_id=7,
            time_in_force=cp.TimeInForce.GTC,
        )
        assert (order.client_order_id, order.trade_pair, order.side) == (7, "BTC_USD", cp.Side.BUY)
        assert (order.amount, order.price, order.ttl) == (Decimal(2), Decimal(100), 3600)
        assert order.time_in_force is cp.TimeInForce.GTC
        assert order.terms_known
        assert order.is_open
        assert order.wait_acknowledged(timeout=5) is order
        assert order.average_price is None
        assert order.error is None
        assert (len(order.trades), order.fees) == (0, Decimal(0))
        bob.place("BTC_USD", cp.Side.SELL, amount="2", price="100")
        assert order.wait_filled(timeout=5) is order
        assert order.is_closed
        assert (order.remaining, order.filled) == (Decimal(0), Decimal(2))
        assert order.acknowledged_ns is not None
        assert order.closed_ns is not None
        assert before <= order.created_ns <= order.acknowledged_ns <= order.closed_ns
        assert order.changed_by > 0
        known = alice.orders.by_client_order_id(7)
        assert known == order
        assert known != order.order_id
        assert len({known, order}) == 1
        assert len(alice.orders) == 1
        assert alice.orders.open == []
        assert alice.orders.trades == order.trades
        assert alice.orders.get(10**9) is None
        assert order.as_dict()["filled"] == "2.00000000"
        difference = sync.OrderDifference(order, "remaining", Decimal(1), Decimal(2))
        assert difference.as_dict()["order"] == order.as_dict()
    assert order.as_dict()["status"] == "filled"


def test_a_wait_that_takes_too_long(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        order = alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        with pytest.raises(cp.RequestTimeout):
            order.wait_closed(timeout=0.01)


def test_replacing_an_order(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice, client_of(exchange, alice_key, "bob") as bob:
        order = alice.place("BTC_USD", "buy", amount="2", price="100", client_order_id=7, time_in_force="gtc")
        new = alice.replace(order, price="101", client_order_id=8)
        assert (new.replaces, order.replaced_by) == (7, 8)
        assert (new.price, new.amount) == (Decimal(101), Decimal(2))
        assert not alice.cancel(client_order_id=7)
        with pytest.raises(cp.ReplaceIncomplete) as incomplete:
            alice.replace(new, price=10**8)
        assert incomplete.value.order is new
        assert isinstance(incomplete.value.replacement, sync.Order)
        assert incomplete.value.replacement.status is cp.OrderStatus.REJECTED
        order = alice.place("BTC_USD", "buy", amount="1", price="100")
        with pytest.raises(cp.ReplaceIncomplete) as not_sent:
            alice.replace(order, price=1, timeout=-1, wait=False)
        assert not_sent.value.replacement is None
        order = alice.place("BTC_USD", "buy", amount="1", price="100")
        bob.place("BTC_USD", "sell", amount="1", price="100")
        order.wait_filled(timeout=5)
        with pytest.raises(cp.OrderFilled) as filled:
            alice.replace(order, price="99")
        assert filled.value.order is order
        with pytest.raises(cp.OrderInvalid, match="must be an Order"):
            alice.replace(7, price=1)  # type: ignore[arg-type]
