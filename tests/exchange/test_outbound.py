"""What a link sends: events as fast as the client reads, responses behind them, and a bounded number of broadcasts."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.commands import Refused
from cryptoproto.exchange.ledger import ClientRecord, MemoryLedger, Transaction
from cryptoproto.exchange.link import ClientLink
from cryptoproto.exchange.outbound import MAX_OWED
from cryptoproto.messages import encode
from cryptoproto.transport import Closed
from cryptoproto.wire import BroadcastFrame, ResponseFrame, ThrottlingFrame, TransactionFrame
from tests.support.peer import settle
from tests.support.raw import RawClient, until_connected
from tests.support.trading import in_memory, linked, trade
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


async def test_requests_are_not_answered_faster_than_the_client_reads(
    keys: dict[str, cp.PrivateKey], kind: Any
) -> None:
    async with trade(keys, {}, transport=kind) as floor:
        exchange = floor.exchange
        for number in range(1000):
            order = cp.PlaceBuyLimitOrder("BTC_USD", "0.01", "100", number)
            exchange.venue.submit("alice", number + 1, encode(order))
        size = len(encode(exchange.open_orders("alice")))
        async with RawClient.connected(exchange.url) as client:
            session = await client.shake_hands(keys, V5, resume_from=-1)
            await until_connected(floor.exchange, "alice")
            (link,) = exchange.links
            client.link.pause_reading()
            count = 500
            for _ in range(count):
                client.link.send(session.request_frame(b'{"@type":"UserOrdersRequest"}')[1])
            async with asyncio.timeout(20):
                while link.outbound.drain is None:  # noqa: ASYNC110 - until the network is full
                    await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
                assert link.outbound.owed <= 2**20 + size
                assert link._unhandled.size <= 2**20
            assert link._paused
            client.link.resume_reading()
            for _ in range(count):
                assert len(await client.message()) > size
            assert link.outbound.owed == 0


async def test_broadcasts_that_are_not_read_end_the_link(keys: dict[str, cp.PrivateKey]) -> None:
    async with linked(keys) as alice:
        alice.transport.hold_writes = True
        payload = bytes(2**10)
        alice.link.outbound.broadcast(payload)
        for _ in range(64):
            assert not alice.link._closing
            alice.link.outbound.broadcast(payload)
        alice.link.outbound.broadcast(payload)
        assert (await alice.client.closed).reason == "broadcasts were not read"
        alice.link.outbound.broadcast(payload)
        alice.link.outbound.pump()
        alice.link.outbound._pump()


def test_a_client_that_does_not_read_is_disconnected_in_time(keys: dict[str, cp.PrivateKey]) -> None:
    @virtual
    async def check() -> None:
        async with linked(keys, stall_timeout=30) as alice:
            for wait in (29.0, 31.0):
                alice.transport.hold_writes = True
                alice.link.outbound.broadcast(b"{}")  # any frame, to find that the client does not read
                assert alice.link.outbound.drain is not None
                await asyncio.sleep(wait)
                assert alice.link._closing == (wait > 30)
                alice.transport.hold_writes = False
                await settle()
            assert await alice.client.closed == Closed(1008, "nothing was read for 30 s")

    check()


async def test_a_long_history_is_sent_in_turns_and_a_response_after_it(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    for _ in range(400):
        exchange.deposit("alice", "USD", "1")
    async with RawClient.over(in_memory(exchange)) as client:
        session = await client.shake_hands(keys, V5)
        client.link.send(session.request_frame(b'{"@type":"UserBalanceRequest"}')[1])
        received = [session.receive(await client.message()) for _ in range(801)]
        assert isinstance(received[-1], ResponseFrame)
        assert not any(isinstance(frame, ResponseFrame) for frame in received[:-1])


async def test_the_events_of_one_turn_are_sent_with_one_write_and_before_all_that_comes_later(
    keys: dict[str, cp.PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(keys) as alice:
        writes: list[int] = []
        send_many = alice.transport.send_many

        def counted(messages: Sequence[bytes]) -> None:
            writes.append(len(messages))
            send_many(messages)

        monkeypatch.setattr(alice.transport, "send_many", counted)

        async def received(count: int) -> list[type]:
            return [type(alice.session.receive(await alice.client.message())) for _ in range(count)]

        alice.exchange.deposit("alice", "USD", "1")
        assert writes == [2], "nothing else is expected"
        assert await received(2) == 2 * [TransactionFrame]
        writes.clear()
        alice.exchange.links.expect_more(True)
        for _ in range(3):
            alice.exchange.deposit("alice", "USD", "1")
        assert writes == [], "the turn has not ended"
        assert await received(6) == 6 * [TransactionFrame]
        assert writes == [6]
        alice.exchange.deposit("alice", "USD", "1")
        alice.exchange.disable_pairs(["BTC_USD"])
        assert await received(3) == [TransactionFrame, TransactionFrame, BroadcastFrame]
        alice.exchange.deposit("alice", "USD", "1")
        alice.link.outbound.throttle(1, 1, 1)
        assert await received(3) == [TransactionFrame, TransactionFrame, ThrottlingFrame]
        alice.exchange.deposit("alice", "USD", "1")
        alice.exchange.disconnect("alice")
        assert await received(2) == [TransactionFrame, TransactionFrame]
        assert writes == [6, 2, 2, 2]
        await alice.client.closed
        alice.exchange.deposit("alice", "USD", "1")
        await settle()
        assert writes == [6, 2, 2, 2]


async def test_a_long_turn_is_sent_in_parts(keys: dict[str, cp.PrivateKey]) -> None:
    async with linked(keys) as alice:
        before = len(alice.transport.sent)
        alice.exchange.links.expect_more(True)
        for _ in range(31):
            alice.exchange.deposit("alice", "USD", "1")
        assert len(alice.transport.sent) == before
        alice.exchange.deposit("alice", "USD", "1")
        assert len(alice.transport.sent) == before + 64


async def test_what_one_read_brings_is_answered_together(
    keys: dict[str, cp.PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with linked(keys, {"USD": "1000"}) as alice:
        writes: list[int] = []
        monkeypatch.setattr(alice.transport, "send_many", lambda messages: writes.append(len(messages)))
        order = encode(cp.PlaceBuyLimitOrder("BTC_USD", "1", "1"))

        def arrive(*more: bool) -> None:
            for each in more:
                alice.link.on_message(alice.session.message_frame(order)[1], each)

        arrive(True, True, False)
        assert writes == [6], "before the turn has ended"
        arrive(False)
        assert writes == [6, 2]
        arrive(True)
        assert writes == [6, 2]
        assert alice.exchange.links.more_expected
        await settle()
        assert writes == [6, 2, 2], "the rest of the read was no message"
        alice.link.close(1001, "enough")
        arrive(True)
        assert not alice.exchange.links.more_expected


async def test_no_event_is_sent_to_a_client_that_does_not_read(keys: dict[str, cp.PrivateKey]) -> None:
    async with linked(keys) as alice:
        alice.transport.hold_writes = True
        alice.link.outbound.broadcast(b"{}")  # any frame, to find that the client does not read
        alice.exchange.deposit("alice", "USD", "1")
        await settle()
        assert alice.link.outbound._position == 0
        alice.transport.hold_writes = False
        await settle()
        assert alice.link.outbound._position == 2


async def test_what_finds_the_network_filled_by_a_ping_is_sent_when_there_is_room(
    keys: dict[str, cp.PrivateKey],
) -> None:
    async with linked(keys) as alice:
        alice.transport.hold_writes = True  # and no frame of this link has found that out
        alice.exchange.deposit("alice", "USD", "1")
        await settle()
        alice.transport.hold_writes = False
        frame = alice.session.receive(await alice.client.message())
        assert isinstance(frame, TransactionFrame)


async def test_nothing_is_sent_before_the_handshake_or_after_the_end(keys: dict[str, cp.PrivateKey]) -> None:
    link = ClientLink(Exchange(private_key=keys["exchange"]))
    link.outbound.respond(1, b"{}")
    link.outbound.broadcast(b"{}")
    link.outbound.send(b"frame")
    link.outbound.report_silence()
    link.outbound.pump_soon()
    assert link.outbound.owed == 0
    link._on_proven()
    assert link.record is None
    link.close(1001, "before it was open")


class SlowLedger(MemoryLedger):
    """A ledger whose disk a test can stop."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stopped = False
        self._actions: list[Callable[[], None]] = []

    def when_durable(self, action: Callable[..., None], *args: Any) -> None:
        if self.is_stopped:
            self._actions.append(functools.partial(action, *args))
        else:
            action(*args)

    def go_on(self) -> None:
        self.is_stopped = False
        for action in self._actions:
            action()
        self._actions.clear()


async def test_frames_wait_while_too_many_responses_do_and_are_handled_when_those_are_sent(
    keys: dict[str, cp.PrivateKey],
) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    ledger = exchange.venue.ledger = SlowLedger()
    exchange.register("alice", keys["alice"].public_key, {"USD": "1000000"})
    for number in range(1000):
        exchange.venue.submit("alice", number + 1, encode(cp.PlaceBuyLimitOrder("BTC_USD", "0.01", "100", number)))
    size = len(encode(exchange.open_orders("alice")))
    count = 3 * MAX_OWED // size
    async with RawClient.over(in_memory(exchange)) as client:
        session = await client.shake_hands(keys, V5, resume_from=-1)
        await until_connected(exchange, "alice")
        (link,) = exchange.links
        ledger.is_stopped = True
        for _ in range(count):
            client.link.send(session.request_frame(b'{"@type":"UserOrdersRequest"}')[1])
        await settle()
        assert MAX_OWED < link.outbound.owed <= MAX_OWED + size
        assert client.received.empty()
        while client.received.qsize() < count:
            ledger.go_on()
            await settle()
        assert link.outbound.owed == 0
        assert not link._paused


async def test_a_refused_link_that_is_stopped_while_it_sends_older_events_does_nothing_more(
    keys: dict[str, cp.PrivateKey],
) -> None:
    read, may_end = asyncio.Event(), asyncio.Event()

    class Slow(MemoryLedger):
        async def read(self, record: ClientRecord, after: int, limit: int) -> list[Transaction]:
            read.set()
            await may_end.wait()
            return []

    async with linked(keys) as alice:
        outbound = alice.link.outbound
        alice.exchange.deposit("alice", "USD", "1")
        await settle()
        record = outbound._record
        assert record is not None
        record.forget(0)
        outbound._ledger, outbound._cursor, outbound._position = Slow(), 0, 0
        outbound.pump()
        await read.wait()
        outbound.refuse(Refused("alice", -1, "it sends nonsense"))
        outbound.stop()
        may_end.set()
        await settle()
        assert outbound._catching_up is None
