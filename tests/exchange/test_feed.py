"""The market-data socket: books, trades, and readers that are slow, silent or talkative."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.messages import encode
from cryptoproto.transport import MemoryLink, memory_opener
from cryptoproto.wire import market_frame, read_market_frame, read_market_hello
from tests.support.raw import RawClient
from tests.support.trading import Clock, Floor, limit, trade
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


@pytest.fixture
async def floor(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> AsyncIterator[Floor]:
    fees = {"maker_fee": Decimal("0.001"), "taker_fee": Decimal("0.002")}
    async with trade(keys, {"transport": kind, "protocol": protocol}, transport=kind, clock=Clock(), **fees) as floor:
        yield floor


async def test_market_data(floor: Floor) -> None:
    async with RawClient.connected(floor.exchange.market_data_url) as feed, floor.connect("alice") as alice:
        read_market_hello(await feed.message())
        assert b'"@type":"TradingRules"' in await feed.message(), "the rules come first"
        await feed.until_payload(b'"BTC_USD"')
        await alice.send(limit("Sell", "1", "100"))
        book = read_market_frame(await feed.until_payload(b'"100.00000000"'))
        assert b'"@type":"OrderBookAgg"' in book
        async with floor.connect("bob") as bob:
            await bob.send(limit("Buy", "0.25", "100"))
            printed = read_market_frame(await feed.until_payload(b"AnonymousTrade"))
            assert b'"amount":"0.25000000"' in printed
            assert b"alice" not in printed
            assert b"bob" not in printed
            await feed.until_payload(b'"0.75000000"')
        async with RawClient.connected(floor.exchange.market_data_url) as late:
            read_market_hello(await late.message())
            assert b'"@type":"TradingRules"' in await late.message()
            assert b'"0.75000000"' in await late.until_payload(b'"BTC_USD"'), "who comes late gets the book as it is"


@pytest.mark.parametrize("text", [False, True])
async def test_market_data_is_read_only(text: bool, floor: Floor) -> None:
    async with RawClient.connected(floor.exchange.market_data_url) as feed:
        if text:
            feed.link.send_text("hello")
        else:
            feed.link.send(b"hello")
        closed = await feed.closed
        assert (closed.code, closed.reason) == (1002, "market data is read only")


async def test_a_slow_reader_of_market_data_is_disconnected(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"], book_interval=1e-6)
    ends: list[Any] = []

    def make_listener() -> Any:
        ends.append(exchange._feed.make_listener())
        return ends[-1]

    message = cp.TradesEnabledOnPairs(trade_pairs=["BTC_USD"])
    async with (
        RawClient.over(memory_opener(make_listener)) as quick,
        RawClient.over(memory_opener(make_listener)) as slow,
    ):
        link = ends[1]._transport
        link.hold_writes = True
        exchange._feed.publish(message)
        before = len(link.sent)
        for _ in range(9_000):
            exchange._feed.publish(message)
        assert len(link.sent) == before, "what was not read waits"
        link.hold_writes = False
        while ends[1]._waiting:  # noqa: ASYNC110 - it drains in its own task
            await asyncio.sleep(0)
        assert len(link.sent) == before + 9_000, "and comes when it is"
        link.hold_writes = True
        exchange._feed.publish(message)
        size = len(link.sent[-1])
        for _ in range(2**20 // size):
            exchange._feed.publish(message)
        assert ends[1]._waiting.size <= 2**20
        assert not slow.closed.done()
        exchange._feed.publish(message)
        assert (await slow.closed).reason == "market data was not read fast enough"
        assert not quick.closed.done()


@virtual
async def test_a_silent_reader_is_disconnected_and_one_that_answers_pings_is_not(
    keys: dict[str, cp.PrivateKey],
) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    loop = asyncio.get_running_loop()
    feed = memory_opener(exchange._feed.make_listener)
    async with RawClient.over(feed) as alive, RawClient.over(feed) as silent:
        await asyncio.sleep(3600)
        assert not silent.closed.done(), "it answers pings"
        silent.link.pause_reading()
        before = loop.time()
        async with asyncio.timeout(30):
            while len(exchange._feed._links) == 2:  # noqa: ASYNC110 - a reader that reads nothing sees no close
                await asyncio.sleep(0.5)
        assert loop.time() - before <= 15.0
        assert not alive.closed.done()


async def test_a_slow_reader_gets_only_the_newest_of_each_book(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    ends: list[Any] = []

    def make_listener() -> Any:
        ends.append(exchange._feed.make_listener())
        return ends[-1]

    async with RawClient.over(memory_opener(make_listener)) as reader:
        link = ends[0]._transport
        link.hold_writes = True
        exchange._feed.publish(cp.TradesEnabledOnPairs(trade_pairs=["BTC_USD"]))
        before = len(link.sent)
        for number in range(100):
            exchange._feed._send_books({"BTC_USD": b"book %d" % number, "ETH_USD": b"other %d" % number})
        assert len(link.sent) == before
        link.hold_writes = False
        while len(link.sent) < before + 2:  # noqa: ASYNC110 - it drains in its own task
            await asyncio.sleep(0)
        assert link.sent[before:] == [b"book 99", b"other 99"]
        link.hold_writes = True
        exchange._feed.publish(cp.TradesEnabledOnPairs(trade_pairs=["BTC_USD"]))
        await exchange._feed.close(1001, "over")
        assert (await reader.closed).reason == "over"
        ends[0].send(b"too late")
        ends[0].close(1001, "again")


async def test_a_reader_that_leaves_before_its_books_are_durable(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"])
    exchange._feed._welcome(exchange._feed.make_listener(), b"rules", {})
    assert exchange._feed._readers == set()


async def test_closing_drops_the_books_that_wait_for_the_interval(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"], book_interval=1000)
    exchange._feed.books_changed()
    exchange._feed.books_changed()
    await asyncio.sleep(0.001)
    exchange._feed.books_changed()
    assert exchange._feed._timer is not None
    await exchange._feed.close(1001, "over")
    assert exchange._feed._timer is None


async def test_rules_are_published_again_when_they_change(keys: dict[str, cp.PrivateKey]) -> None:
    exchange = Exchange(private_key=keys["exchange"], instruments=[cp.Instrument("ETH_USD", tick_size="0.05")])
    async with RawClient.over(memory_opener(exchange._feed.make_listener)) as reader:
        read_market_hello(await reader.message())
        assert b'{"trade_pair":"ETH_USD","tick_size":"0.05"' in await reader.message()
        await reader.until_payload(b'"BTC_EUR"')  # the last of the books
        exchange.set_instruments([cp.Instrument("ETH_USD", tick_size="0.10")])
        assert b'{"trade_pair":"ETH_USD","tick_size":"0.1"' in await reader.message()
        exchange.set_instruments([cp.Instrument("ETH_USD", tick_size="0.1")])  # no change
        exchange.set_instruments([])
        assert b'{"trade_pair":"ETH_USD","tick_size":"0.00000001"' in await reader.message()


async def test_the_trades_of_one_turn_are_sent_with_one_write_and_before_what_comes_later(
    keys: dict[str, cp.PrivateKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[int] = []
    send_many = MemoryLink.send_many

    def counted(link: MemoryLink, messages: Sequence[bytes]) -> None:
        writes.append(len(messages))
        send_many(link, messages)

    monkeypatch.setattr(MemoryLink, "send_many", counted)
    async with trade(keys, {}) as floor:
        feed = floor.exchange._feed
        trades = [cp.AnonymousTrade("BTC_USD", n, Decimal(1), Decimal(100), True, (n, 0)) for n in range(200)]

        async def received(client: RawClient, count: int) -> list[bytes]:
            return [read_market_frame(await client.message()) for _ in range(count)]

        async with RawClient.over(memory_opener(feed.make_listener)) as reader:
            read_market_hello(await reader.message())
            await received(reader, 1 + len(floor.exchange.venue.engine.trade_pairs))
            for each in trades[:69]:
                feed.publish(each, together=True)
            assert writes == [64], "the turn has not ended"
            assert await received(reader, 69) == [encode(each) for each in trades[:69]]
            assert writes == [64, 5]
            feed.publish(trades[69])
            assert writes == [64, 5, 1]
            assert await received(reader, 1) == [encode(trades[69])]
            feed.publish(trades[70], together=True)
            feed._send_books({"BTC_USD": market_frame(b"{}")})
            assert await received(reader, 2) == [encode(trades[70]), b"{}"]
            feed.publish(trades[71], together=True)
            async with RawClient.over(memory_opener(feed.make_listener)) as late:
                read_market_hello(await late.message())
                await received(late, 1 + len(floor.exchange.venue.engine.trade_pairs))
                feed.publish(trades[72], together=True)
                assert await received(late, 1) == [encode(trades[72])], "not the trade before it joined"
            assert await received(reader, 2) == [encode(trades[71]), encode(trades[72])]
            feed.publish(trades[73], together=True)
            closing = asyncio.create_task(feed.close(1001, "enough"))
            assert await received(reader, 1) == [encode(trades[73])]
            await closing
