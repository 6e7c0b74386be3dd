"""One client link: handshake, sessions, refused messages, heartbeat."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.messages import encode
from cryptoproto.transport import MemoryLink
from cryptoproto.wire import Opened, ResponseFrame, ServerSession
from tests.support.peer import settle, until_raised
from tests.support.raw import RawClient
from tests.support.trading import Floor, in_memory, limit, trade
from tests.support.virtual_time import virtual

BALANCE = cp.UserBalanceRequest()

V5 = cp.Protocol.V5


@pytest.fixture
async def floor(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> AsyncIterator[Floor]:
    async with trade(keys, {"transport": kind, "protocol": protocol}, transport=kind) as floor:
        yield floor


async def test_refused_handshakes_say_why(floor: Floor, bob_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.InvalidKey, match="client id 'mallory' is not registered"):
        await floor.connect("mallory")
    with pytest.raises(cp.InvalidKey, match="encrypted under another key than this exchange's"):
        await floor.connect("alice", server_key=bob_key.public_key)
    with pytest.raises(cp.InvalidKey, match="it knows another public key for this client id"):
        await floor.connect("alice", private_key=bob_key)
    async with floor.connect("alice") as connection:
        await connection.request(BALANCE)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 4, 6, 2**32 - 1])
async def test_versions_that_are_not_spoken(version: int, keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        client.hello(keys, version=version)
        closed = await client.closed
        assert closed.code == 1002
        assert closed.reason == f"version {version} of the protocol is not supported: send version 5, or none"


async def test_a_proof_by_another_key(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        session = client.hello(keys)
        opened = session.receive(await client.message())
        assert isinstance(opened, Opened)
        client.link.send(keys["bob"].sign(opened.proof))
        closed = await client.closed
        assert closed.code == 1008
        assert closed.reason == "invalid key: the challenge was not signed with the registered key"


async def test_a_second_connection_takes_over(floor: Floor) -> None:
    async with floor.connect("alice") as first, floor.connect("bob") as other:
        await first.send(limit("Buy", "1", "100"))
        await first.request(BALANCE)
        async with floor.connect("alice") as second:
            assert second.last_sequence == 1
            _, error = await until_raised(first)
            assert isinstance(error, cp.ConcurrentConnection)
            assert error.code == 4000
            assert await second.send(limit("Buy", "1", "101")) == 2
            await second.request(BALANCE)
            assert other.is_open
        await other.request(BALANCE)


async def test_sequences_go_on_from_connection_to_connection(floor: Floor) -> None:
    for number in range(3):
        async with floor.connect("alice", resume_from=-1) as connection:
            assert connection.last_sequence == 2 * number
            for _ in range(2):
                await connection.send(limit("Buy", "1", "100"))
            await connection.request(BALANCE)


@pytest.mark.parametrize("wrong", [0, 1, 3, 4, -1, 2**62])
async def test_a_sequence_that_is_not_the_next(wrong: int, floor: Floor) -> None:
    async with floor.connect("alice") as connection:
        assert await connection.send(limit("Buy", "1", "100")) == 1
        connection._session.next_sequence = wrong
        await connection.send(limit("Buy", "1", "101"))
        _, error = await until_raised(connection)
        assert isinstance(error, cp.InvalidSequence)
        assert str(wrong) in error.reason
        assert "expected sequence 2" in error.reason
    async with floor.connect("alice") as connection:
        assert connection.last_sequence == 1
        orders = await connection.request(cp.UserOrdersRequest())
        assert isinstance(orders, cp.UserOrdersResponse)
        assert [str(order.price) for order in orders.order_books["BTC_USD"].buy] == ["100.00000000"]


@pytest.mark.parametrize(
    ("message", "error", "words"),
    [
        (b"{", cp.InvalidPayload, "truncated"),
        (b"", cp.InvalidPayload, ""),
        (b"\xff\xfe", cp.InvalidPayload, ""),
        (b'{"@type":"CancelOrder"}', cp.InvalidPayload, "order_id"),
        (b'{"@type":"SellTheMoon"}', cp.InvalidPayload, "SellTheMoon"),
        (b'{"order_id":5}', cp.InvalidPayload, "@type"),
        (b"[1,2]", cp.InvalidPayload, ""),
        (limit("Buy", "-1", "100"), cp.InvalidPayload, "amount"),
        (limit("Buy", "1", "0"), cp.InvalidPayload, "price"),
        (limit("Buy", "1", "100", 7), cp.DuplicateClientOrderId, "7"),
        (limit("Buy", "1", "100") | {"trade_pair": "BTC_XYZ"}, cp.CryptoprotoError, "BTC_XYZ"),
    ],
    ids=str,
)
async def test_a_refused_message_is_an_error_frame_and_the_end(
    message: Any, error: type[cp.ServerError], words: str, floor: Floor
) -> None:
    async with floor.connect("alice") as connection:
        await connection.send(limit("Buy", "1", "90", 7))
        assert await connection.send(message) == 2
        events, raised = await until_raised(connection)
        assert isinstance(raised, error)
        assert words in str(raised)
        assert any(isinstance(event.message, cp.BuyOrderPlaced) for event in events), "what came before is told before"
        await connection.wait_closed()
    async with floor.connect("alice", resume_from=-1) as connection:
        assert connection.last_sequence == 2, "the sequence counts as seen"
        assert await connection.send(limit("Buy", "1", "91", 8)) == 3
        await connection.request(BALANCE)


@pytest.mark.parametrize("message", [b"{", b'{"@type":"Surprise"}', b"[]"])
async def test_a_refused_request(message: bytes, floor: Floor) -> None:
    async with floor.connect("alice") as connection:
        with pytest.raises(cp.InvalidPayload) as caught:
            await connection.request(message)
        assert caught.value.sent is True


@virtual
async def test_who_never_says_hello_is_not_waited_for(keys: dict[str, cp.PrivateKey], script: Any) -> None:
    loop = asyncio.get_running_loop()
    exchange = Exchange(private_key=keys["exchange"])
    async with RawClient.over(in_memory(exchange)) as client:
        before = loop.time()
        closed = await client.closed
        assert closed.code == 1013
        assert closed.reason == "the handshake took longer than 10 s; try again"
        assert loop.time() - before == pytest.approx(10.0)


@virtual
async def test_a_silent_client_is_told_and_given_up(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    floor = Floor(exchange, keys, {"transport": in_memory(exchange), "protocol": V5, "url": "ws://127.0.0.1:1"})
    async with floor.connect("alice", ping_interval=None) as connection:
        await asyncio.sleep(3600)
        assert connection.is_open, "it answers pings"
        link = next(iter(exchange._links))
        assert link._transport is not None
        getattr(connection._transport, "pause_reading")()  # noqa: B009 - from here on it answers nothing
        await link.wait_closed()
        with pytest.raises(cp.HeartbeatTimeout, match="the exchange missed our heartbeat"):
            await anext(connection)
        assert exchange.connected_clients == ()


# The newest hello wins


@pytest.mark.parametrize("threads", [False, True])
async def test_a_late_proof_of_an_older_hello_does_not_take_over(
    threads: bool, keys: dict[str, cp.PrivateKey], protocol: cp.Protocol
) -> None:
    """A client gave up a slow handshake and is live on the next link when its old proof arrives."""
    async with trade(keys, {"protocol": protocol}) as floor, RawClient.connected(floor.exchange.url) as abandoned:
        if not threads:
            floor.exchange.handshakes.stop()
        session = abandoned.hello(keys, protocol=protocol)
        opened = session.receive(await abandoned.message())
        assert isinstance(opened, Opened)
        async with floor.connect("alice") as alice:
            await alice.request(BALANCE)
            abandoned.link.send(opened.proof)
            closed = await abandoned.closed
            assert (closed.code, closed.reason) == (4000, "a newer connection of this client is live")
            await alice.request(BALANCE)
            assert floor.exchange.connected_clients == ("alice",)


async def test_an_older_hello_may_be_proven_before_the_newer_one(keys: dict[str, cp.PrivateKey]) -> None:
    async with (
        trade(keys, {}) as floor,
        RawClient.connected(floor.exchange.url) as first,
        RawClient.connected(floor.exchange.url) as second,
    ):
        proofs = []
        for client in (first, second):
            opened = client.hello(keys).receive(await client.message())
            assert isinstance(opened, Opened)
            proofs.append(opened.proof)
        first.link.send(proofs[0])
        await until_alice_is_live(floor)
        second.link.send(proofs[1])
        assert (await first.closed).code == 4000
        assert not second.closed.done()


async def until_alice_is_live(floor: Floor) -> None:
    async with asyncio.timeout(20):
        while "alice" not in floor.exchange.connected_clients:  # noqa: ASYNC110 - the exchange has no event for it
            await asyncio.sleep(0)


# Handshakes are limited


async def test_too_many_handshakes_from_one_address_are_refused_and_may_be_repeated(
    keys: dict[str, cp.PrivateKey], kind: Any
) -> None:
    async with (
        trade(keys, {"transport": kind}, transport=kind, handshake_rate=0.2) as floor,
        floor.connect("alice") as alice,
        floor.connect("bob"),
    ):
        with pytest.raises(cp.ConnectionClosed, match=r"too many handshakes from 127\.0\.0\.1; try again") as caught:
            await floor.connect("bob")
        assert caught.value.code == 1013
        assert not isinstance(caught.value, cp.InvalidKey), "a client tries again"
        await alice.request(BALANCE)


async def test_frames_that_come_while_a_hello_is_decrypted_are_handled_after_it(
    keys: dict[str, cp.PrivateKey], kind: Any
) -> None:
    async with trade(keys, {}, transport=kind) as floor, RawClient.connected(floor.exchange.url) as client:
        client.hello(keys)
        client.link.send(b"not the proof")
        assert (await client.closed).reason == "invalid key: the challenge was not signed with the registered key"


async def test_a_link_that_ends_while_its_hello_is_decrypted(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {}) as floor:
        free = threading.Event()
        floor.exchange.handshakes.run(lambda: free.wait(20), lambda _: None)
        async with RawClient.connected(floor.exchange.url) as client:
            client.hello(keys)
            async with asyncio.timeout(20):
                while not any(link.hello_number for link in floor.exchange._links):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        free.set()
        async with floor.connect("alice") as alice:
            await alice.request(BALANCE)
        assert floor.exchange.handshakes._under_way == 0


# What one link may hold is bounded


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
            await until_alice_is_live(floor)
            (link,) = exchange._links
            client.link.pause_reading()
            count = 500
            for _ in range(count):
                client.link.send(session.seal(session.draft_request(b'{"@type":"UserOrdersRequest"}')))
            async with asyncio.timeout(20):
                while link._drain is None:  # noqa: ASYNC110 - until the network is full
                    await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
                assert link._owed <= 2**20 + size
                assert link._unhandled.size <= 2**20
            assert link._paused
            client.link.resume_reading()
            for _ in range(count):
                assert len(await client.message()) > size
            assert link._owed == 0


@virtual
async def test_more_frames_than_may_wait_end_the_link(keys: dict[str, cp.PrivateKey]) -> None:
    """A transport that goes on delivering although reading is paused."""
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    async with RawClient.over(in_memory(exchange)) as client:
        await client.shake_hands(keys, V5)
        await settle()
        (link,) = exchange._links
        assert isinstance(link._transport, MemoryLink)
        link._transport.hold_writes = True
        exchange.disable_pairs(["BTC_USD"])
        assert link._drain is not None
        for _ in range(2):
            link.on_message(bytes(2**20))
        link.on_message(b"one more")
        assert (await client.closed).reason == "more was sent than can be handled"
        link._transport.hold_writes = False


async def test_many_frames_that_waited_are_handled_in_turns(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    async with RawClient.over(in_memory(exchange)) as client:
        session = await client.shake_hands(keys, V5)
        await settle()
        (link,) = exchange._links
        assert isinstance(link._transport, MemoryLink)
        link._transport.hold_writes = True
        exchange.disable_pairs(["BTC_USD"])
        for _ in range(1200):
            link.on_message(session.seal(session.draft_message(b'{"@type":"CancelAllOrders"}')))
        record = exchange.venue.client("alice")
        assert record is not None
        assert record.last_sequence == 0
        link._transport.hold_writes = False
        async with asyncio.timeout(20):
            while record.last_sequence < 1200:
                assert record.last_sequence % 500 == 0
                await asyncio.sleep(0)
        assert not link._paused


async def test_a_response_larger_than_a_message_may_be_is_an_error_frame(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {"protocol": V5}, max_message_size=4096) as floor:
        for number in range(200):
            floor.exchange.deposit("alice", f"CURRENCY_{number}", "1")
        async with floor.connect("alice", resume_from=-1) as alice:
            with pytest.raises(cp.UnknownServerError, match=r"the response has \d+ bytes, and a message at most 4096"):
                await alice.request(BALANCE)


async def test_an_older_connection_that_sends_during_the_handshake(keys: dict[str, cp.PrivateKey]) -> None:
    async with (
        trade(keys, {"protocol": V5}) as floor,
        floor.connect("alice") as alice,
        RawClient.connected(floor.exchange.url) as second,
    ):
        opened = second.hello(keys).receive(await second.message())
        assert isinstance(opened, Opened)
        await alice.send(limit("Buy", "1", "100"))
        await alice.request(BALANCE)
        second.link.send(opened.proof)
        closed = await second.closed
        assert (closed.code, closed.reason) == (4001, "messages came over another connection meanwhile; connect again")
        await alice.request(BALANCE)


async def test_a_text_message(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        client.link.send_text("hello")
        assert (await client.closed).reason == "a text message came where frames are binary"


async def test_a_frame_that_cannot_be_decrypted(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        await client.shake_hands(keys, V5)
        client.link.send(bytes(64))
        assert (await client.closed).code == 1002


async def test_a_client_whose_key_is_too_short_for_the_answer(
    keys: dict[str, cp.PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise cp.ConfigurationError("the key is too short")

    async with trade(keys, {}) as floor, RawClient.connected(floor.exchange.url) as client:
        monkeypatch.setattr(ServerSession, "accept", fail)
        client.hello(keys)
        closed = await client.closed
        assert (closed.code, closed.reason) == (1008, "invalid key: the key is too short")


async def test_broadcasts_that_are_not_read_end_the_link(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    async with RawClient.over(in_memory(exchange)) as client:
        await client.shake_hands(keys, V5)
        await settle()
        (link,) = exchange._links
        assert isinstance(link._transport, MemoryLink)
        link._transport.hold_writes = True
        payload = bytes(2**10)
        link.broadcast(payload)
        for _ in range(64):
            assert not link._closing
            link.broadcast(payload)
        link.broadcast(payload)
        assert (await client.closed).reason == "broadcasts were not read"
        link.broadcast(payload)
        link.pump()
        link._pump()


async def test_a_long_history_is_sent_in_turns_and_a_response_after_it(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    for _ in range(400):
        exchange.deposit("alice", "USD", "1")
    async with RawClient.over(in_memory(exchange)) as client:
        session = await client.shake_hands(keys, V5)
        client.link.send(session.seal(session.draft_request(b'{"@type":"UserBalanceRequest"}')))
        received = [session.receive(await client.message()) for _ in range(801)]
        assert isinstance(received[-1], ResponseFrame)
        assert not any(isinstance(frame, ResponseFrame) for frame in received[:-1])
