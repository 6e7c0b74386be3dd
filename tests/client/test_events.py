"""Exactly the transactions after the stored position, in order, over links and processes."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.states import State
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, client_of, patient, trader, until, until_state
from tests.support.peer import Script, settle
from tests.support.virtual_time import virtual

MakeStore = Callable[[], Any]


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def exchange(exchange_key: cp.PrivateKey) -> Exchange:
    return Exchange(private_key=exchange_key)


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> MakeStore:
    memory = cp.MemoryStore()
    return lambda: memory if request.param == "memory" else cp.SqliteStore(tmp_path / "alice.db", commit_every=7)


def quick() -> cp.Backoff:
    return cp.Backoff(initial=0.1, cap=1.0, random=lambda: 0.5)


def ids(exchange: Exchange) -> list[int]:
    record = exchange.venue.client("alice")
    assert record is not None
    return [each.transaction_id for each in record.history]


async def take(client: cp.Client, count: int) -> list[int | None]:
    """The next *count* events; the last of them is not done with."""
    found: list[int | None] = []
    async with asyncio.timeout(100):
        async for event in client.events():
            found.append(event.transaction_id)
            if len(found) == count:
                break
    return found


def pay(exchange: Exchange, count: int = 1) -> None:
    """Two events each."""
    for _ in range(count):
        exchange.deposit("alice", "USD", 1)


def test_each_once_in_order_over_links_and_processes(
    make_store: MakeStore, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    @virtual
    async def run() -> None:
        line, choice = Line(exchange), random.Random(5)
        seen: list[int | None] = []
        for _ in range(20):
            async with trader(line, alice_key, store=make_store(), backoff=quick()) as client:
                events = client.events()
                for _ in range(choice.randint(0, 20)):
                    pay(exchange, choice.randint(1, 3))
                    if choice.random() < 0.3:
                        line.cut()
                    event = await anext(events)
                    seen.append(event.transaction_id)
                    assert client.position == (seen[-2] if len(seen) > 1 else None)
                # Ask once more, so that the last one counts as done with, and take nothing.
                asking = asyncio.ensure_future(anext(events))
                await asyncio.sleep(0)
                if not asking.done():
                    asking.cancel()
                else:
                    seen.append(asking.result().transaction_id)
                    seen.pop()
                await asyncio.wait([asking])
        async with trader(line, alice_key, store=make_store(), backoff=quick()) as client:
            rest = len(ids(exchange)) - len(seen)
            seen += await take(client, rest)
        assert seen == ids(exchange)

    run()


def test_a_loop_that_is_left_gets_its_last_event_again(
    make_store: MakeStore, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    @virtual
    async def run() -> None:
        line = Line(exchange)
        async with trader(line, alice_key, store=make_store()) as client:
            pay(exchange, 5)
            there = ids(exchange)
            assert await take(client, 3) == there[:3]
            assert client.position == there[1]
            assert await take(client, 3) == there[2:5]
            with contextlib.suppress(KeyError):
                async for _ in client.events():
                    raise KeyError
            assert client.position == there[3]
        async with trader(line, alice_key, store=make_store()) as client:
            assert await take(client, 6) == there[4:]
            assert client.position == there[-2]

    run()


def test_what_nobody_has_asked_for_is_not_done_with(
    make_store: MakeStore, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    """A client that only places orders: the next process hears everything, and knows its orders from that."""

    @virtual
    async def run() -> None:
        line = Line(exchange)
        async with trader(line, alice_key, store=make_store()) as client:
            await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)
            assert client.position is None
        async with trader(line, alice_key, store=make_store()) as client:
            assert client.position is None
            assert len(client.orders.open) == 1
            assert client.orders.open[0].terms_known
            assert await take(client, len(ids(exchange))) == ids(exchange)

    run()


@virtual
async def test_waiting_for_events_can_be_cancelled(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(exchange), alice_key) as client:
        events = client.events()
        for _ in range(10):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await anext(events)
            pay(exchange)
        await settle()
        assert client._events.queued + 10 >= len(ids(exchange)) - 1
        with pytest.raises(cp.ConfigurationError, match="on_event"):
            trader(Line(exchange), alice_key, on_event=print).events()


def test_exactly_once_with_the_users_own_tables(tmp_path: Path, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    """Wherever the handler fails: before, in, or behind the transaction; and where the loop is left and taken up."""

    @virtual
    async def run() -> None:
        line, choice = Line(exchange), random.Random(3)
        path = tmp_path / "alice.db"
        trader(line, alice_key)
        for number in range(30):
            pay(exchange, 2)
            store = cp.SqliteStore(path)
            async with trader(line, alice_key, store=store, backoff=quick()) as client:
                with store.transaction() as db:
                    db.execute("CREATE TABLE IF NOT EXISTS fills (transaction_id INTEGER PRIMARY KEY)")
                for _ in range(3):
                    with contextlib.suppress(ZeroDivisionError):
                        left = choice.randint(1, 4)
                        async for event in client.events():
                            where = choice.choice(("before", "in", "behind", "nowhere", "nowhere"))
                            divide(where == "before")
                            with store.transaction() as db:
                                db.execute("INSERT INTO fills VALUES (?)", (event.transaction_id,))
                                divide(where == "in")
                            divide(where == "behind")
                            left -= 1
                            if not left or not client._events.queued:
                                break
                    if not client._events.queued and client._events.handling() is None:
                        break
                if number % 3 == 0:
                    line.cut()
        pay(exchange)
        store = cp.SqliteStore(path)
        async with trader(line, alice_key, store=store) as client:
            async for event in client.events():
                with store.transaction() as db:
                    db.execute("INSERT INTO fills VALUES (?)", (event.transaction_id,))
                if event.transaction_id == ids(exchange)[-1]:
                    break
        with contextlib.closing(sqlite3.connect(path)) as db:
            assert [number for (number,) in db.execute("SELECT transaction_id FROM fills ORDER BY rowid")] == ids(
                exchange
            )

    run()


def divide(fail: bool) -> None:
    if fail:
        raise ZeroDivisionError


# on_event


def test_a_handler_that_raises_closes_the_client_before_its_event(
    make_store: MakeStore, exchange: Exchange, alice_key: cp.PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    @virtual
    async def run() -> None:
        line = Line(exchange)
        handled: list[int | None] = []

        def handle(event: cp.Event) -> None:
            divide(len(handled) == 3)
            handled.append(event.transaction_id)

        async with trader(line, alice_key, store=make_store(), on_event=handle) as client:
            placing = asyncio.create_task(client.place("BTC_USD", cp.Side.BUY, amount=1, price=1))
            await settle()
            pay(exchange, 3)
            await until(lambda: client.state.state is State.CLOSED)
            assert isinstance(client.state.error, cp.ConnectionClosed)
            assert isinstance(client.state.error.__cause__, ZeroDivisionError)
            there = ids(exchange)
            assert client.position == there[2]
            with contextlib.suppress(cp.OutcomeUnknown):
                await placing
            assert line.attempts == 1
        handled.append(None)
        async with trader(line, alice_key, store=make_store(), on_event=handle) as client:
            assert handled == [*there[:3], None, *there[3:]]
            assert client.position == there[-1]

    run()


# Those who are slow, and those who never ask


@virtual
async def test_a_slow_reader_pauses_the_link_and_loses_nothing(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    line = Line(exchange)
    async with trader(line, alice_key, max_queue=10) as client:
        events = client.events()
        pay(exchange, 100)
        await settle()
        assert 10 <= client._events.queued <= 200
        assert not line.links[1].reading
        # Calls are not held up by it: their answers come behind the events.
        loop = asyncio.get_running_loop()
        before = loop.time()
        order = await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)
        assert order.is_open
        await client.balances()
        assert loop.time() - before < 1.0
        seen = [(await anext(events)).transaction_id for _ in range(len(ids(exchange)))]
        assert seen == ids(exchange)
        assert client.metrics().counters["connections"] == 1


@virtual
async def test_a_reader_who_sleeps_while_orders_wait(script: Script, alice_key: cp.PrivateKey) -> None:
    """What cannot be kept is let go, and comes again when there is room."""
    patient(script)
    async with client_of(script, alice_key, max_queue=10, backoff=quick()) as client:
        events = client.events()
        placing = asyncio.create_task(client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, timeout=1000))
        await script.peer.until(lambda: bool(script.peer.messages))
        first = script.peer
        first.events(1, 5000)
        await until_state(client, State.CONNECTING)
        assert isinstance(first.closed, object)
        assert 10 < client._events.queued < 4300
        await asyncio.sleep(100)
        assert script.peer is first  # not before there is room
        script.last_sequence = 1
        script.greeting.append(lambda peer: peer.events((peer.hello.last_seen_order if peer.hello else 0) + 1, 5000))
        seen = [(await anext(events)).transaction_id for _ in range(5000)]
        assert seen == list(range(1, 5001))
        with pytest.raises(cp.OrderRejected):
            await placing


def test_who_asks_late_gets_everything(make_store: MakeStore, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    """More was replayed, and came, than can be kept, before anybody asked: it is replayed to who does."""

    @virtual
    async def run() -> None:
        line = Line(exchange)
        async with trader(line, alice_key, store=make_store()):
            pass
        pay(exchange, 100)
        async with trader(line, alice_key, store=make_store(), max_queue=20, backoff=quick()) as client:
            assert client.state.replayed == 200
            assert client.position is None
            order = await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)
            pay(exchange, 100)
            events = client.events()
            seen = [(await anext(events)).transaction_id for _ in range(len(ids(exchange)))]
            assert seen == ids(exchange)
            pay(exchange)
            assert (await anext(events)).transaction_id == ids(exchange)[-2]
            assert order.is_open
            assert not [each for each in client.orders if each is not order]

    run()


@virtual
async def test_who_never_asks_costs_no_memory(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    line = Line(exchange)
    async with trader(line, alice_key, max_queue=20) as client:
        for _ in range(10):
            pay(exchange, 50)
            await client.balances()
            assert client._events.queued <= 20
        assert client.metrics().counters["events"] == 1000


@virtual
async def test_broadcasts_come_in_between(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        script.peer.event(1)
        script.peer.broadcast(b'{"@type":"TradesDisabledOnPairs","trade_pairs":["BTC_USD"]}')
        script.peer.event(2)
        assert await take(client, 3) == [1, None, 2]
        assert client.position == 1
        assert client.metrics().counters["broadcasts"] == 1


# The end


@pytest.mark.parametrize("during", [False, True])
def test_closing_ends_the_iteration(
    during: bool, make_store: MakeStore, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    """In the midst of a handler, too: its event is not done with, and nothing is handed out that could not be."""

    @virtual
    async def run() -> None:
        line = Line(exchange)
        client = trader(line, alice_key, store=make_store())
        await client.start()
        seen = []

        async def read() -> None:
            async for event in client.events():
                seen.append(event.transaction_id)
                if during and len(seen) == 3:
                    await client.close()

        reading = asyncio.create_task(read())
        pay(exchange, 5)
        await until(lambda: reading.done() if during else len(seen) == 10)
        await client.close()
        await reading
        await asyncio.sleep(10)
        there = ids(exchange)
        assert seen == (there[:3] if during else there)
        async with trader(line, alice_key, store=make_store()) as client:
            pay(exchange)
            assert await take(client, 1) == [there[2] if during else there[-1] + 1]

    run()


@virtual
async def test_live_events_alone(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    line = Line(exchange)
    async with trader(line, alice_key):
        pay(exchange, 3)
    async with trader(line, alice_key, resume_from=-1) as client:
        pay(exchange)
        assert await take(client, 2) == ids(exchange)[-2:]


@virtual
async def test_positions_that_cannot_be_written_are_tried_again(
    exchange: Exchange, alice_key: cp.PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    class Stuck(cp.MemoryStore):
        tries = 0

        def flush(self) -> None:
            self.tries += 1
            if self.tries < 4:
                raise cp.StoreError("the disk is full")

    store = Stuck()
    async with trader(Line(exchange), alice_key, store=store) as client:
        pay(exchange)
        await take(client, 2)
        await asyncio.sleep(10)
        assert store.tries == 4
