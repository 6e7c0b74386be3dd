"""The embedded exchange on real sockets, through the public API: who may come in, and what ends a session."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.wire import Opened
from tests.support.leaks import loop_reports
from tests.support.peer import settle, until_raised
from tests.support.raw import RawClient
from tests.support.trading import Floor, in_memory, limit, read_until, trade
from tests.support.virtual_time import virtual

BALANCE = cp.UserBalanceRequest()
V5 = cp.Protocol.V5


@pytest.fixture
async def floor(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> AsyncIterator[Floor]:
    async with trade(keys, {"transport": kind, "protocol": protocol}, transport=kind) as floor:
        yield floor


# The handshake


async def test_a_client_comes_in(floor: Floor) -> None:
    async with floor.connect("alice") as connection:
        reply = await connection.request(BALANCE)
        assert isinstance(reply, cp.UserBalanceResponse)
        assert reply.balances["USD"].available == 1_000_000
        assert connection.last_sequence == 0
        assert floor.exchange.connected_clients == ("alice",)
    await vanished(floor, "alice")


async def vanished(floor: Floor, client_id: str) -> None:
    """Wait until the exchange has noticed that a client is gone: it does before it takes the next one's frames."""
    async with asyncio.timeout(20):
        while client_id in floor.exchange.connected_clients:  # noqa: ASYNC110 - the exchange has no event for it
            await asyncio.sleep(0)


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


# Sessions


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


async def test_pairs_disabled_and_enabled_again(floor: Floor) -> None:
    def is_broadcast(event: cp.Event) -> bool:
        return event.transaction_id is None

    async with floor.connect("alice") as alice, floor.connect("bob") as bob:
        async with RawClient.connected(floor.exchange.market_data_url) as public:
            floor.exchange.disable_pairs(["BTC_USD"])
            for connection in (alice, bob):
                events = await read_until(connection, is_broadcast)
                assert events[-1].message == cp.TradesDisabledOnPairs(trade_pairs=["BTC_USD"])
            await public.until_payload(b"TradesDisabledOnPairs")
            await alice.send(limit("Buy", "1", "100"))
            with pytest.raises(cp.TradesDisabled):
                await anext(alice)
            floor.exchange.enable_pairs(["BTC_USD"])
            events = await read_until(bob, is_broadcast)
            assert events[-1].message == cp.TradesEnabledOnPairs(trade_pairs=["BTC_USD"])
            await public.until_payload(b"TradesEnabledOnPairs")
        await bob.send(limit("Buy", "1", "100"))
        await read_until(bob, lambda event: isinstance(event.message, cp.BuyOrderPlaced))


@pytest.mark.parametrize("code", [1001, 1012, 3999, 4000, 4009])
async def test_the_operator_disconnects_a_client(code: int, floor: Floor) -> None:
    floor.exchange.disconnect("alice", code)
    async with floor.connect("alice") as alice, floor.connect("bob") as bob:
        await alice.request(BALANCE)
        floor.exchange.disconnect("alice", code, "by order")
        with pytest.raises(cp.ConnectionClosed, match="by order") as caught:
            await anext(alice)
        assert caught.value.code == code
        await bob.request(BALANCE)


# The end of the exchange


async def test_an_orderly_restart_with_resume_on_the_same_ports(floor: Floor) -> None:
    exchange = floor.exchange
    addresses = exchange.url, exchange.market_data_url
    async with floor.connect("alice") as alice, floor.connect("bob") as bob:
        await alice.send(limit("Buy", "1", "100"))
        events = await read_until(alice, lambda event: isinstance(event.message, cp.BuyOrderPlaced))
        async with RawClient.connected(exchange.market_data_url) as public:
            await bob.request(BALANCE)
            await exchange.restart()
            assert (exchange.url, exchange.market_data_url) == addresses
            for connection in (alice, bob):
                left, error = await until_raised(connection)
                assert isinstance(error, cp.ServerRestart)
                events += left
            assert (await public.closed).code == 1012
    exchange.deposit("alice", "BTC", "5")
    position = events[-1].transaction_id
    assert position is not None
    async with floor.connect("alice", resume_from=position) as alice:
        assert alice.last_sequence == 1
        missed = await read_until(alice, lambda event: isinstance(event.message, cp.SetBalance))
        assert isinstance(missed[0].message, cp.DepositTransactionAccepted)
        await alice.send(limit("Sell", "1", "100"))
        await alice.request(BALANCE)
        orders = exchange.open_orders("alice").order_books["BTC_USD"]
        assert len(orders.buy) + len(orders.sell) == 1


async def test_closing_says_so_to_everybody_and_is_idempotent(floor: Floor) -> None:
    async with floor.connect("alice") as alice:
        await alice.request(BALANCE)
        await asyncio.gather(floor.exchange.close(), floor.exchange.close())
        await floor.exchange.close()
        with pytest.raises(cp.ConnectionClosed, match="the exchange closes") as caught:
            await anext(alice)
        assert caught.value.code == 1001
    with pytest.raises(cp.ConnectionClosed, match="cannot connect"):
        await floor.connect("alice")


async def test_who_upgrades_after_the_close_is_sent_away(keys: dict[str, cp.PrivateKey], kind: Any) -> None:
    """A TCP connection from before the close is no way in after it."""
    async with trade(keys, {}, transport=kind) as floor:
        host, port = floor.exchange.url.removeprefix("ws://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await floor.connect("alice", transport=kind).__aenter__()  # accepted after it
        await floor.exchange.close()
        writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(b"\x88\x80\x00\x00\x00\x00")  # and the answer to a close, so that both need not wait
        answer = await asyncio.wait_for(reader.read(-1), 20)
        writer.close()
        await writer.wait_closed()
        if b"101" in answer:
            assert b"\x03\xe9the exchange closes" in answer
        await settle()
        assert floor.exchange.connected_clients == ()


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


async def test_over_tls(tmp_path: Path, keys: dict[str, cp.PrivateKey], kind: Any) -> None:
    certificate, server_context = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    options = {"transport": kind, "ssl": trusting}
    async with trade(keys, options, transport=kind, ssl=server_context) as floor:
        assert floor.exchange.url.startswith("wss://")
        async with floor.connect("alice") as connection:
            await connection.send(limit("Buy", "1", "100"))
            await read_until(connection, lambda event: isinstance(event.message, cp.BuyOrderPlaced))
        with loop_reports() as reports:  # asyncio tells of handshakes that a client gave up, in debug mode
            with pytest.raises(cp.ConnectionClosed, match=r"(?i)certificate"):
                await floor.connect("alice", ssl=None)
            async with asyncio.timeout(20):
                while not reports:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0)


def self_signed(folder: Path) -> tuple[str, ssl.SSLContext]:
    """A certificate for 127.0.0.1 as a file, and the context of a server that shows it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "exchange.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return str(folder / "certificate.pem"), context
