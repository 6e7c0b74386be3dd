"""The exchange as an object: options, addresses, start, restart, close, and what its operator can do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.messages import encode
from tests.support.certificates import self_signed
from tests.support.leaks import loop_reports
from tests.support.peer import settle, until_raised
from tests.support.raw import RawClient
from tests.support.trading import Floor, limit, read_until, trade

BALANCE = cp.UserBalanceRequest()

V5 = cp.Protocol.V5


@pytest.fixture
async def floor(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> AsyncIterator[Floor]:
    async with trade(keys, {"transport": kind, "protocol": protocol}, transport=kind) as floor:
        yield floor


async def test_repr_shows_address_clients_and_journal(tmp_path: Path, keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(path=tmp_path / "exchange.db", private_key=keys["exchange"])
    assert repr(exchange) == f"<Exchange not listening, no clients, journal {tmp_path}/exchange.db>"
    async with exchange:
        for number in range(6):
            exchange.register(f"c{number}", keys["alice"].public_key)
        expected = f"<Exchange {exchange.url}, 6 clients (c0, c1, c2, c3, c4, …), 0 connected, journal {exchange.path}>"
        assert repr(exchange) == expected
    assert repr(exchange).startswith("<Exchange not listening, 6 clients")
    assert repr(Exchange(private_key=keys["exchange"])) == "<Exchange not listening, no clients, in memory>"


async def test_a_client_comes_in(floor: Floor) -> None:
    async with floor.connect("alice") as connection:
        reply = await connection.request(BALANCE)
        assert isinstance(reply, cp.UserBalanceResponse)
        assert reply.balances["USD"].available == 1_000_000
        assert connection.last_sequence == 0
        assert floor.exchange.connected_clients == ("alice",)
    await vanished(floor, "alice")


async def vanished(floor: Floor, client_id: str) -> None:
    """Wait until the exchange has noticed that a client has left."""
    async with asyncio.timeout(20):
        while client_id in floor.exchange.connected_clients:  # noqa: ASYNC110 - the exchange has no event for it
            await asyncio.sleep(0)


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
    """A TCP connection from before the close cannot be used after it."""
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


async def test_over_tls(tmp_path: Path, keys: dict[str, cp.PrivateKey], kind: Any) -> None:
    certificate, server_context = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    options = {"transport": kind, "ssl": trusting}
    with loop_reports() as reports:  # asyncio may report a handshake that a client gave up
        async with trade(keys, options, transport=kind, ssl=server_context) as floor:
            assert floor.exchange.url.startswith("wss://")
            async with floor.connect("alice") as connection:
                await connection.send(limit("Buy", "1", "100"))
                await read_until(connection, lambda event: isinstance(event.message, cp.BuyOrderPlaced))
            with pytest.raises(cp.ConnectionClosed, match=r"(?i)certificate"):
                await floor.connect("alice", ssl=None)
            async with floor.connect("alice"):
                pass  # the refused one has been dealt with when the next is through
    assert all("SSL handshake failed" in report["message"] for report in reports)


# Options


def test_the_longest_list_of_open_orders_fits_a_message(keys: dict[str, cp.PrivateKey]) -> None:
    """As many orders as the options allow, with long numbers."""
    exchange = Exchange(private_key=keys["exchange"], max_message_size=2**16)
    most = exchange.venue.engine.max_open_orders
    assert most == (2**16 - 1024) // 192
    exchange.register("alice", keys["alice"].public_key, {"USD": "1e18"})
    for number in range(most):
        order = cp.PlaceBuyLimitOrder("BTC_USD", "123456789.12345678", "1234567.12345678", -(2**63) + number)
        assert exchange.venue.submit("alice", number + 1, encode(order)) is None
    size = len(encode(exchange.open_orders("alice")))
    assert most * 110 < size < 2**16


def test_the_limit_of_open_orders_is_kept_by_the_journal_and_can_be_changed(
    tmp_path: Path, keys: dict[str, cp.PrivateKey]
) -> None:
    path = tmp_path / "exchange.db"

    def limit(**options: Any) -> int:
        exchange = Exchange(path=path, **options)
        try:
            return exchange.venue.engine.max_open_orders
        finally:
            asyncio.run(exchange.close())

    assert limit(private_key=keys["exchange"]) == 1000
    assert limit(max_open_orders=7) == 7
    assert limit() == 7
    assert limit(max_open_orders=2000) == 2000
    assert limit(max_message_size=2**16) == 336


async def test_close_takes_a_code_and_a_reason(floor: Floor) -> None:
    async with floor.connect("alice") as alice:
        await alice.request(BALANCE)
        await floor.exchange.close(1012, "back at noon")
        with pytest.raises(cp.ServerRestart, match="back at noon"):
            await anext(alice)


async def test_without_a_journal_flush_returns_at_once_and_wait_closed_waits(keys: dict[str, cp.PrivateKey]) -> None:
    async with Exchange(private_key=keys["exchange"], host="::1") as exchange:
        assert exchange.url.startswith("ws://[::1]:")
        await exchange.flush()
        waiting = asyncio.create_task(exchange.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_what_the_operator_does_and_sees(keys: dict[str, cp.PrivateKey]) -> None:
    async with Exchange(private_key=keys["exchange"], handshake_rate=None) as exchange:
        exchange.register("alice", keys["alice"].public_key, {"USD": "10"})
        exchange.deposit("alice", "USD", "5")
        exchange.withdraw("alice", "USD", "3")
        with pytest.raises(cp.ConfigurationError, match="cannot withdraw"):
            exchange.withdraw("alice", "USD", "13")
        assert exchange.balances("alice").balances["USD"].available == 12
        assert exchange.totals() == {"USD": 12}
        assert exchange.open_orders("alice").order_books == {}
        assert exchange.book("BTC_USD").buy_levels == {}
        exchange.disconnect("alice", 4009)
