"""One client link: handshake, sessions, refused messages, heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.transport import Closed
from tests.support.peer import until_raised
from tests.support.raw import RawClient
from tests.support.trading import Floor, in_memory, limit, linked, trade
from tests.support.virtual_time import virtual

BALANCE = cp.UserBalanceRequest()

V5 = cp.Protocol.V5


@pytest.fixture
async def floor(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> AsyncIterator[Floor]:
    async with trade(keys, {"transport": kind, "protocol": protocol}, transport=kind) as floor:
        yield floor


async def test_sequences_continue_from_connection_to_connection(floor: Floor) -> None:
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
async def test_a_silent_client_receives_an_error_and_is_disconnected(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.register("alice", keys["alice"].public_key)
    floor = Floor(exchange, keys, {"transport": in_memory(exchange), "protocol": V5, "url": "ws://127.0.0.1:1"})
    async with floor.connect("alice", ping_interval=None) as connection:
        await asyncio.sleep(3600)
        assert connection.is_open, "it answers pings"
        link = next(iter(exchange.links))
        assert link._transport is not None
        getattr(connection._pump.transport, "pause_reading")()  # noqa: B009 - from here on it answers nothing
        await link.wait_closed()
        with pytest.raises(cp.HeartbeatTimeout, match="the exchange missed our heartbeat"):
            await anext(connection)
        assert exchange.connected_clients == ()


# What one link may hold is bounded


@virtual
async def test_more_frames_than_may_wait_end_the_link(keys: dict[str, cp.PrivateKey]) -> None:
    """A transport that delivers frames although reading is paused."""
    async with linked(keys) as alice:
        alice.transport.hold_writes = True
        alice.exchange.disable_pairs(["BTC_USD"])
        assert alice.link.outbound.drain is not None
        for _ in range(2):
            alice.link.on_message(bytes(2**20))
        alice.link.on_message(b"one more")
        assert (await alice.client.closed).reason == "more was sent than can be handled"
        alice.transport.hold_writes = False


async def test_many_frames_that_waited_are_handled_in_turns(keys: dict[str, cp.PrivateKey]) -> None:
    async with linked(keys) as alice:
        alice.transport.hold_writes = True
        alice.exchange.disable_pairs(["BTC_USD"])
        for _ in range(1200):
            alice.link.on_message(alice.session.message_frame(b'{"@type":"CancelAllOrders"}')[1])
        record = alice.exchange.venue.client("alice")
        assert record is not None
        assert record.last_sequence == 0
        alice.transport.hold_writes = False
        async with asyncio.timeout(20):
            while record.last_sequence < 1200:
                assert record.last_sequence % 500 == 0
                await asyncio.sleep(0)
        assert not alice.link._paused


async def test_a_response_larger_than_a_message_may_be_is_an_error_frame(keys: dict[str, cp.PrivateKey]) -> None:
    async with trade(keys, {"protocol": V5}, max_message_size=4096) as floor:
        for number in range(200):
            floor.exchange.deposit("alice", f"CURRENCY_{number}", "1")
        async with floor.connect("alice", resume_from=-1) as alice:
            with pytest.raises(cp.UnknownServerError, match=r"the response has \d+ bytes, and a message at most 4096"):
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


@virtual
async def test_a_peer_that_is_silent_before_its_hello(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"], ping_interval=0.5, ping_timeout=1.0)
    async with RawClient.over(in_memory(exchange)) as client:
        (link,) = exchange.links
        client.link.pause_reading()
        await link.wait_closed()
        client.link.resume_reading()
        assert (await client.closed).reason == "heartbeat timeout"
        assert client.received.empty(), "there is no key for an error frame"
        link.outbound.send(b"too late")
        link.on_closed(Closed(None, "again"))
