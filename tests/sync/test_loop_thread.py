"""The thread behind each object: who may call it, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.sync.exchange import Exchange
from cryptoproto.sync.loop_thread import LoopThread
from tests.support.sync_client import client_of, threads


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
    assert "itself" in str(errors[0])


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


async def forever() -> None:
    await asyncio.Event().wait()


def test_what_is_left_running_is_cancelled() -> None:
    thread = LoopThread("test")
    thread.start()
    cancelled: list[str] = []

    async def stubborn() -> None:
        try:
            await forever()
        finally:
            cancelled.append("cancelled")

    async def start() -> asyncio.Task[None]:
        task = asyncio.create_task(stubborn())
        await asyncio.sleep(0)
        return task

    thread.run(start)
    thread.close(None, 1)
    assert cancelled == ["cancelled"]
    with pytest.raises(cp.ConnectionClosed, match="the test is closed"):
        thread.run(forever)
    thread.post(lambda: cancelled.append("too late"))
    assert cancelled == ["cancelled"]


def test_an_error_while_closing_is_raised_by_close() -> None:
    thread = LoopThread("test")
    thread.start()

    async def fail() -> None:
        raise cp.StoreError("the disk is full")

    with pytest.raises(cp.StoreError, match="the disk is full"):
        thread.close(fail, 1)


def test_closing_is_bounded_where_the_last_step_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.sync.loop_thread._GRACE_S", 0.01)
    thread = LoopThread("test")
    thread.start()
    thread.close(forever, 0.01)
    assert not thread.is_running


def test_who_waits_when_it_is_closed_gets_an_error() -> None:
    thread = LoopThread("test")
    thread.start()
    errors: list[Exception] = []
    waiting = threading.Event()

    async def announce() -> None:
        waiting.set()
        await forever()

    def wait() -> None:
        try:
            thread.run(announce)
        except cp.ConnectionClosed as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    assert waiting.wait(10)
    thread.close(None, 1)
    waiter.join(10)
    assert "the test is closed" in str(errors[0])


def test_it_is_started_once_and_closed_from_outside() -> None:
    thread = LoopThread("test")
    with pytest.raises(cp.ConfigurationError, match="not started"):
        thread.run(forever)
    thread.start()
    with pytest.raises(cp.ConfigurationError, match="only once"):
        thread.start()
    with pytest.raises(cp.ConfigurationError, match="would wait for itself"):
        thread.call(lambda: thread.close(None, 1))
    thread.close(None, 1)


def test_a_call_posted_to_a_loop_that_has_just_ended_is_dropped() -> None:
    thread = LoopThread("test")
    thread.start()
    loop = thread.call(asyncio.get_running_loop)
    loop.call_soon_threadsafe(loop.stop)
    thread._thread.join(10)  # type: ignore[union-attr]
    called: list[str] = []
    thread.post(lambda: called.append("called"))
    assert called == []
