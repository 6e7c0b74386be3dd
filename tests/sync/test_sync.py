"""The facade for scripts and notebooks, from the thread of a caller that never awaits."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.exchange import Exchange as AsyncExchange
from cryptoproto.sync.exchange import Exchange


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("cryptoproto")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + 10
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    assert not threads()


@pytest.fixture
def exchange(no_thread_is_left: None, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Iterator[Exchange]:
    with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "100000", "BTC": "5"})
        exchange.register("bob", alice_key.public_key, balances={"USD": "100000", "BTC": "5"})
        yield exchange


def client_of(exchange: Exchange, key: cp.PrivateKey, name: str = "alice", store: str | None = None) -> sync.Client:
    return sync.Client(
        exchange.url, client_id=name, private_key=key, server_key=exchange.public_key, protocol=cp.Protocol.V5,
        store=store,
    )  # fmt: skip


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
        told = [event.message for event in events]
        assert [type(message) for message in told if not isinstance(message, cp.SetBalance)] == [
            cp.BuyOrderPlaced, cp.OwnTrade, cp.BuyOrderAmountChanged, cp.BuyOrderCancelled, cp.OrderNotFound,
        ]  # fmt: skip
        assert alice.position == events[-1].transaction_id
        alice.cancel_all()
        assert isinstance(alice.request(cp.UserOrdersRequest()), cp.UserOrdersResponse)
        assert alice.metrics().counters["orders_sent"] == 1
        assert [state.state for state in alice.states(timeout=0.05)] == [cp.State.LIVE]
        assert list(alice.reports(timeout=0.05)) == []
    assert alice.state.state is cp.State.CLOSED
    assert [one.status for one in alice.orders] == [cp.OrderStatus.CANCELLED]
    assert order.average_price == 100


def test_reports_hold_orders_that_need_no_await(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        reports = alice.reports(timeout=10)
        order = alice.place("BTC_USD", cp.Side.BUY, amount="2", price="100")
        client = alice._client()
        inner = client.orders.open_orders()[0]
        told = cp.OrderDifference(inner, "remaining", Decimal(1), Decimal(2))
        other = cp.BalanceDifference("USD", cp.Balance(Decimal(1), Decimal(0)), cp.Balance(Decimal(2), Decimal(0)))
        for report in (told, other):
            alice._thread.call(lambda report=report: client._desk.reports.publish(report))  # type: ignore[misc]
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


def test_the_wrong_key_is_told_by_start(exchange: Exchange, bob_key: cp.PrivateKey) -> None:
    client = client_of(exchange, bob_key)
    with pytest.raises(cp.InvalidKey):
        client.start()
    with pytest.raises(cp.ConnectionClosed, match="make another one"):
        client.balances()
    with pytest.raises(cp.ConfigurationError, match="once"):
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


def test_an_iteration_in_another_thread_ends_with_close(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    heard: list[str] = []
    client = client_of(exchange, alice_key)
    client.start()

    def listen() -> None:
        heard.extend(type(event.message).__name__ for event in client.events())
        heard.append("the end")

    listener = threading.Thread(target=listen)
    listener.start()
    order = client.place("BTC_USD", cp.Side.BUY, amount="1", price="100")

    def wait() -> None:
        try:
            order.wait_closed()
        except cp.CryptoprotoError as error:
            heard.append(type(error).__name__)

    waiter = threading.Thread(target=wait)
    waiter.start()
    until = time.monotonic() + 5
    while len(heard) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    client.close()
    for thread in (listener, waiter):
        thread.join(5)
        assert not thread.is_alive()
    assert sorted(heard) == ["BuyOrderPlaced", "ConnectionClosed", "SetBalance", "the end"]


def test_ctrl_c_ends_the_wait_and_nothing_else(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        events = alice.events()
        interrupting = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        interrupting.start()
        with pytest.raises(KeyboardInterrupt):
            next(events)
        interrupting.join()
        alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        assert [type(next(events).message) for _ in range(2)] == [cp.SetBalance, cp.BuyOrderPlaced]


def test_what_had_arrived_when_ctrl_c_came_is_not_lost(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with client_of(exchange, alice_key) as alice:
        alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        events = alice.events()
        alice._thread.run(events._next)  # it arrived, and the caller was interrupted before it had it
        assert [type(next(events).message) for _ in range(2)] == [cp.SetBalance, cp.BuyOrderPlaced]


async def test_inside_a_running_loop(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    """As in a notebook, whose loop stands still meanwhile."""
    with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "100"})
        with client_of(exchange, alice_key) as alice:
            assert alice.balances()["USD"].available == 100
    await asyncio.sleep(0)


def test_on_event_must_not_wait_for_its_own_thread(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    errors: list[Exception] = []
    done = threading.Event()

    def on_event(event: cp.Event) -> None:
        try:
            client.balances()
        except cp.ConfigurationError as error:
            errors.append(error)
        done.set()

    client = sync.Client(
        exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key, on_event=on_event
    )
    with client:
        client.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        assert done.wait(5)
        with pytest.raises(cp.ConfigurationError, match="on_event"):
            client.events()
    assert "own thread" in str(errors[0])


def test_close_is_bounded_where_a_callback_holds_the_thread(
    exchange: Exchange, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryptoproto.sync.loop_thread._GRACE_S", 0.1)
    held, let_go = threading.Event(), threading.Event()

    def on_event(event: cp.Event) -> None:
        held.set()
        let_go.wait(10)

    client = sync.Client(
        exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key, on_event=on_event
    )
    client.start()
    exchange.deposit("alice", "USD", "1")
    assert held.wait(5)
    start = time.monotonic()
    client.close(timeout=0.1)
    assert time.monotonic() - start < 3
    let_go.set()


def test_a_forgotten_client_ends_by_itself(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    client = client_of(exchange, alice_key)
    client.start()
    states = client.states()
    before = len(threads())
    del client, states
    gc.collect()
    until = time.monotonic() + 5
    while len(threads()) >= before and time.monotonic() < until:
        time.sleep(0.01)
    assert len(threads()) < before
    assert exchange.connected_clients == ()


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


def test_market_data(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    with sync.MarketData(exchange.market_data_url, pairs=["BTC_USD"]) as feed, client_of(exchange, alice_key) as alice:
        feed.wait_connected(timeout=5)
        alice.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
        book = feed.wait_book("BTC_USD", timeout=5)
        while book.best_bid is None:
            assert isinstance(next(iter(feed)), cp.OrderBookAgg)
            book = feed.book("BTC_USD")
        assert book.best_bid == (Decimal(100), Decimal(1))
        assert feed.books["BTC_USD"].best_bid == book.best_bid
        list(feed.updates(timeout=0.1))
        assert [state.status for state in feed.states(timeout=0.05)] == [cp.FeedStatus.LIVE]
        with pytest.raises(cp.ConfigurationError, match="keep other pairs"):
            feed.book("ETH_USD")
    assert feed.state.status is cp.FeedStatus.CLOSED
    assert feed.book("BTC_USD").is_stale
    assert book.best_bid == (Decimal(100), Decimal(1))  # a copy


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (sync.Client, cp.Client),
        (sync.Connection, cp.Connection),
        (sync.MarketData, cp.MarketData),
        (sync.Order, cp.Order),
        (Exchange, AsyncExchange),
    ],
)
def test_nothing_is_missing(ours: type, theirs: type) -> None:
    """Every public method and property, with the same parameters and defaults."""
    internal = {
        "of", "elsewhere", "message", "add_trade", "set_remaining", "add_fee", "wake", "waiters", "end",  # of an order
        "request_at", "pause_events", "resume_events", "wait_closed", "open", "give_up",  # of a connection
        "on_open", "on_message", "on_text", "on_heard", "on_closed",
        "expire_orders", "opened", "is_newest", "joined", "left", "monotonic",  # of an exchange
    }  # fmt: skip
    if ours is sync.Order:
        internal.remove("wait_closed")
    for name, member in inspect.getmembers(theirs):
        if name.startswith("_") or name in internal:
            continue
        mine = inspect.getattr_static(ours, name)
        assert not inspect.iscoroutinefunction(mine), name
        if inspect.isfunction(member):
            expected = dict(inspect.signature(member).parameters)
            actual = dict(inspect.signature(mine).parameters)
            if name in ("events", "states", "reports"):
                assert actual.pop("timeout").default is None
            expected.pop("on_sequence", None)
            assert list(actual) == list(expected), name
            assert [one.default for one in actual.values()] == [one.default for one in expected.values()], name
