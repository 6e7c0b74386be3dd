"""The handshake: who is refused and why, the newest hello wins, and limits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.authentication import Authentication, Rejection
from cryptoproto.wire import Opened, ServerSession
from tests.support.raw import RawClient, until_connected
from tests.support.trading import Floor, limit, trade

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
        await until_connected(floor.exchange, "alice")
        second.link.send(proofs[1])
        assert (await first.closed).code == 4000
        assert not second.closed.done()


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
                while not any(link.hello_number for link in floor.exchange.links):  # noqa: ASYNC110
                    await asyncio.sleep(0)
        free.set()
        async with floor.connect("alice") as alice:
            await alice.request(BALANCE)
        assert floor.exchange.handshakes._under_way == 0


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


def test_a_proof_before_the_hello_is_rejected(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    authentication = Authentication(exchange, ServerSession(keys["exchange"], bytes, 2**16))
    assert authentication.finish() == Rejection(1002, "a proof came before the hello")


def test_a_handshake_ends_once(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange.monotonic = lambda: 0.0  # type: ignore[method-assign]
    authentication = Authentication(exchange, ServerSession(keys["exchange"], bytes, 2**16))
    assert authentication.begin("192.0.2.1") is None
    assert exchange.handshakes._under_way == 1
    authentication.end()
    authentication.end()
    assert exchange.handshakes._under_way == 0
