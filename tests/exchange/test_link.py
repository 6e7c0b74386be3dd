"""One client link: handshake, sessions, refused messages, heartbeat."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.wire import Opened
from tests.support.peer import until_raised
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
        assert closed.code == 1008
        assert closed.reason == "the handshake took too long"
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
