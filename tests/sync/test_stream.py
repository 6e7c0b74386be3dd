"""Streams: Ctrl-C loses nothing, and closing the client ends the iteration."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.sync_client import client_of


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, even if the suite runs in the background, where shells ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
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
