"""The client for scripts and notebooks, used by a thread that never awaits."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange
from tests.support.sync_client import client_of


def test_orders_balances_and_events(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice, client_of(exchange, alice_key, "bob") as bob:
        order = alice.place("BTC_USD", cp.Side.BUY, amount="2", price="100")
        assert order.is_open
        assert order.acknowledged_ns is not None
        assert [one.order_id for one in alice.open_orders()] == [order.order_id]
        bob.place("BTC_USD", cp.Side.SELL, amount="0.5", price="100")
        assert alice.orders.get(order.order_id or 0) == order
        assert alice.cancel(order)
        assert order.wait_closed(timeout=5) is order
        assert order.status is cp.OrderStatus.CANCELLED
        assert str(order.filled) == "0.50000000"
        assert order.average_price == 100
        assert len(order.trades) == 1
        assert not alice.cancel(order)
        assert str(alice.balances()["BTC"].available) == "5.50000000"
        assert alice.known_balances["BTC"] == alice.balances()["BTC"]
        events = list(alice.events(timeout=0.2))
        messages = [event.message for event in events]
        assert [type(message) for message in messages if not isinstance(message, cp.SetBalance)] == [
            cp.BuyOrderPlaced, cp.OwnTrade, cp.BuyOrderAmountChanged, cp.BuyOrderCancelled, cp.OrderNotFound,
        ]  # fmt: skip
        assert alice.position == events[-1].transaction_id
        assert alice.received_position >= (events[-1].transaction_id or 0)
        alice.cancel_all()
        assert isinstance(alice.request(cp.UserOrdersRequest()), cp.UserOrdersResponse)
        assert alice.metrics().counters["orders_sent"] == 1
        assert [state.state for state in alice.states(timeout=0.05)] == [cp.State.LIVE]
        assert list(alice.reports(timeout=0.05)) == []
    assert alice.state.state is cp.State.CLOSED
    assert [one.status for one in alice.orders] == [cp.OrderStatus.CANCELLED]
    assert order.average_price == 100


def test_events_by_the_batch(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        batches = alice.batches(timeout=0.2)
        for price in ("100", "101"):
            alice.place("BTC_USD", cp.Side.BUY, amount="1", price=price)
        events = [event for batch in batches for event in batch]
        placed = [event.message for event in events if isinstance(event.message, cp.BuyOrderPlaced)]
        assert [message.price for message in placed] == [100, 101]
        assert alice.position == events[-1].transaction_id


def test_reports_hold_orders_that_need_no_await(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        reports = alice.reports(timeout=10)
        order = alice.place("BTC_USD", cp.Side.BUY, amount="2", price="100")
        client = alice._client()
        inner = client.orders.open[0]
        told = cp.OrderDifference(inner, "remaining", Decimal(1), Decimal(2))
        other = cp.BalanceDifference("USD", cp.Balance(Decimal(1), Decimal(0)), cp.Balance(Decimal(2), Decimal(0)))
        for report in (told, other):
            alice._thread.call(lambda report=report: client._reports.add(report))  # type: ignore[misc]
        assert next(reports) == sync.OrderDifference(order, "remaining", Decimal(1), Decimal(2))
        assert next(reports) == other
        reports.close()


def test_errors_come_with_their_types_in_the_thread_of_the_caller(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        with pytest.raises(cp.InsufficientFundsError):
            alice.place("BTC_USD", cp.Side.BUY, amount="1000000", price="100")
        with pytest.raises(cp.ConfigurationError, match="float"):
            alice.place("BTC_USD", cp.Side.BUY, amount=0.1, price="100")  # type: ignore[arg-type]
        order = alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        with pytest.raises(cp.RequestTimeout):
            order.wait_filled(timeout=0.01)
        exchange.disconnect("alice", 4000)
        assert [state.state for state in alice.states()][-1] is cp.State.CLOSED
        with pytest.raises(cp.RequestNotSent):
            alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")


def test_start_raises_for_a_wrong_key(exchange: Exchange, bob_key: cp.PrivateKey) -> None:
    client = client_of(exchange, bob_key)
    with pytest.raises(cp.InvalidKey):
        client.start()
    with pytest.raises(cp.ConnectionClosed, match="create a new one"):
        client.balances()
    with pytest.raises(cp.ConfigurationError, match="only once"):
        client.start()


def test_before_the_start_and_after_the_end(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match="encrypted"):
        sync.Client("ws://example.com", client_id="a", private_key=alice_key, server_key=alice_key.public_key)
    client = client_of(exchange, alice_key)
    with pytest.raises(cp.ConfigurationError, match="not started"):
        client.balances()
    client.close()  # it never began
    client = client_of(exchange, alice_key)
    client.start()
    events = client.events()
    client.close()
    client.close()
    with pytest.raises(cp.ConnectionClosed, match="the client is closed"):
        client.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
    with pytest.raises(cp.ConnectionClosed, match="the client is closed"):
        client.events()
    assert list(events) == []


def test_the_position_is_kept_in_the_store(exchange: Exchange, alice_key: cp.PrivateKey, tmp_path: Path) -> None:
    store = str(tmp_path / "alice.db")
    with client_of(exchange, alice_key, store=store) as alice:
        for _ in range(3):
            alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        first = [event.transaction_id for event in itertools.islice(alice.events(), 3)]
    with client_of(exchange, alice_key, store=store) as alice:
        second = [event.transaction_id for event in alice.events(timeout=0.2)]
        assert alice.position == second[-1]
    # The third was handed over and nothing said that it was handled; the others come once.
    assert len(first) == 3
    assert second[0] == first[-1]
    assert len(set(first + second)) == len(first + second) - 1 == 6


async def test_inside_a_running_loop(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    """As in a notebook, whose loop stands still meanwhile."""
    with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "100"})
        with client_of(exchange, alice_key) as alice:
            assert alice.balances()["USD"].available == 100
    await asyncio.sleep(0)


def test_a_pause_between_attempts_can_be_ended(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    backoff = cp.Backoff(initial=1000, cap=1000, random=lambda: 0.999)
    with sync.Client(
        exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key, backoff=backoff
    ) as client:
        states = client.states()
        exchange.disconnect("alice", 1001)
        while next(states).state is not cp.State.WAITING:
            pass
        client.reconnect_now()
        while next(states).state is not cp.State.LIVE:
            pass
        states.close()


def test_what_the_objects_show(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    client = client_of(exchange, alice_key)
    assert repr(client) == f"<sync.Client alice at {exchange.url}, not started>"
    with client:
        order = client.place("BTC_USD", cp.Side.BUY, amount="2", price="100")
        assert repr(order).startswith(f"<order {order.order_id}: buy 2")
        assert repr(client) == f"<sync.Client alice at {exchange.url}, live, open orders: 1>"
        assert repr(client.orders) == "<sync.OrderTable, orders: 1, open: 1>"
        assert repr(client.states()) == "<sync.Stream of states>"
        assert repr(exchange) == f"<sync.Exchange at {exchange.url}, connected clients: 1>"
    assert repr(client) == f"<sync.Client alice at {exchange.url}, closed, open orders: 1>"
    with sync.connect(
        exchange.url, client_id="bob", private_key=alice_key, server_key=exchange.public_key
    ) as connection:
        assert repr(connection) == f"<sync.Connection bob to {exchange.url}, open>"
    feed = sync.MarketData(exchange.market_data_url)
    assert repr(feed) == f"<sync.MarketData {exchange.market_data_url}, idle>"
    assert repr(Exchange()) == "<sync.Exchange, not running>"


def test_history(exchange: Exchange, alice_key: cp.PrivateKey, memory_path: Path) -> None:
    store = cp.SqliteStore(memory_path / "alice.db", history=True)
    with client_of(exchange, alice_key, store=store) as alice, client_of(exchange, alice_key, "bob") as bob:
        alice.place("BTC_USD", cp.Side.BUY, amount="2", price="100")
        bob.place("BTC_USD", cp.Side.SELL, amount="0.5", price="100")
        alice.balances()
        assert [str(trade.amount) for trade in alice.history.trades()] == ["0.50000000"]
    assert [order.status for order in alice.history.orders()] == ["open"]


def test_open_orders_are_cancelled_on_exit(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    client = client_of(exchange, alice_key, cancel_on_exit=True)
    assert client.left_open == []
    with client:
        order = client.place("BTC_USD", "buy", amount="1", price="100")
    assert order.status is cp.OrderStatus.CANCELLED
    assert client.left_open == []
    client = client_of(exchange, alice_key, cancel_on_exit=True)
    client.start()
    order = client.place("BTC_USD", "buy", amount="1", price="100")
    exchange.disconnect("alice", 4000)  # another connection has taken over: nothing can be sent any more
    assert list(client.states())[-1].state is cp.State.CLOSED
    client.close()
    assert client.left_open == [order]
