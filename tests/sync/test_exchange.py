"""The embedded exchange without ``await``."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.sync_client import client_of


def test_accounts_orders_and_a_restart(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        assert exchange.connected_clients == ("alice",)
        assert exchange.open_orders("alice").order_books["BTC_USD"].buy[0].price == 100
        assert exchange.book("BTC_USD").buy_levels == {Decimal(100): Decimal(1)}
        exchange.deposit("alice", "USD", "5")
        exchange.withdraw("alice", "USD", "3", to_address="elsewhere")
        assert exchange.balances("alice").balances["USD"].available == 100_000 - 100 + 2
        assert exchange.totals() == {"USD": 200_002, "BTC": 10}
        exchange.flush()
        assert exchange.path is None
        states = alice.states()
        exchange.restart()
        while next(states).state is not cp.State.WAITING:
            pass
        while next(states).state is not cp.State.LIVE:
            pass
        states.close()
        assert len(alice.open_orders()) == 1


def test_a_port_that_is_taken_ends_the_thread(exchange: Exchange) -> None:
    port = int(exchange.url.rpartition(":")[2])
    second = Exchange(port=port)
    with pytest.raises((OSError, cp.CryptoprotoError)):
        second.start()
    refused: list[Callable[[], Any]] = [second.start, second.restart]
    for call in refused:
        with pytest.raises(cp.CryptoprotoError):
            call()


def test_the_rules_of_pairs(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    instrument = cp.Instrument("BTC_USD", tick_size="0.01")
    exchange.set_instruments([instrument])
    assert exchange.instruments == (instrument,)
    limits = cp.OrderLimits(max_amount="1")
    with client_of(exchange, alice_key, instruments=exchange.instruments, limits=limits) as alice:
        assert alice.instruments == {"BTC_USD": instrument}
        for amount, price in (("1", "100.001"), ("2", "100")):
            with pytest.raises(cp.OrderInvalid):
                alice.place("BTC_USD", cp.Side.BUY, amount=amount, price=price)
        order = alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        assert [each.order_id for each in alice.orders.unfinished] == [order.order_id]
