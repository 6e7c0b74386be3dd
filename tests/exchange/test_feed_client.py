"""The feed against a real exchange over real sockets, with both transports on both ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.transport import TransportKind
from tests.support.leaks import assert_nothing_left, loop_reports

KINDS: list[TransportKind] = ["websockets", "picows"]
PAIR = "BTC_USD"
TIMEOUT = 10.0


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    with loop_reports() as reports:
        yield
        await assert_nothing_left(reports, before)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> TransportKind:
    found: TransportKind = request.param
    return found


class Clock:
    """The exchange's clock, which advances by about a millisecond with every reading."""

    def __init__(self) -> None:
        self.now_ns = 1_700_000_000_123_456_789

    def __call__(self) -> int:
        self.now_ns += 1_000_100
        return self.now_ns


class Market:
    """An exchange, two trading clients, and a feed."""

    def __init__(self, exchange: Exchange, feed: cp.MarketData, alice: cp.Connection, bob: cp.Connection) -> None:
        self.exchange = exchange
        self.feed = feed
        self.alice = alice
        self.bob = bob

    async def order(self, who: cp.Connection, message: cp.Message) -> None:
        """Send it, and wait until the exchange has dealt with it."""
        await who.send(message)
        await who.request(cp.UserOrdersRequest())

    async def trade(self) -> cp.AnonymousTrade:
        """The next trade that the iteration tells."""
        async with asyncio.timeout(TIMEOUT):
            async for update in self.feed:
                if isinstance(update, cp.AnonymousTrade):
                    return update
        raise AssertionError("the feed has ended")

    async def book_is_the_exchanges(self, pair: str = PAIR) -> None:
        """Wait until the local book is the exchange's."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                here, there = self.feed.book(pair), self.exchange.book(pair)
                if not here.is_stale and dict(here.bids) == there.buy_levels and dict(here.asks) == there.sell_levels:
                    return
                await anext(self.feed)


@asynccontextmanager
async def market(
    alice_key: cp.PrivateKey,
    exchange_key: cp.PrivateKey,
    *,
    client_kind: TransportKind = "auto",
    server_kind: TransportKind = "auto",
) -> AsyncIterator[Market]:
    async with AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(
            Exchange(private_key=exchange_key, transport=server_kind, clock=Clock(), book_interval=0.001)
        )
        connections = []
        for name in ("alice", "bob"):
            exchange.register(name, alice_key.public_key, balances={"USD": "1000000", "BTC": "100"})
            connection = await cp.connect(
                exchange.url, client_id=name, private_key=alice_key, server_key=exchange.public_key,
                protocol=cp.Protocol.V5,
            )  # fmt: skip
            connections.append(await stack.enter_async_context(connection))
        feed = await stack.enter_async_context(
            cp.MarketData(exchange.market_data_url, transport=client_kind, backoff=cp.Backoff(0.001, 0.01))
        )
        await feed.wait_book(PAIR, timeout=TIMEOUT)
        yield Market(exchange, feed, *connections)


def buy(amount: str, price: str) -> cp.PlaceBuyLimitOrder:
    return cp.PlaceBuyLimitOrder(trade_pair=PAIR, amount=amount, price=price)


def sell(amount: str, price: str) -> cp.PlaceSellLimitOrder:
    return cp.PlaceSellLimitOrder(trade_pair=PAIR, amount=amount, price=price)


@pytest.mark.parametrize("server_kind", KINDS)
async def test_the_book_follows_the_trades(
    kind: TransportKind, server_kind: TransportKind, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    async with market(alice_key, exchange_key, client_kind=kind, server_kind=server_kind) as venue:
        book = venue.feed.book(PAIR)
        assert (book.bids, book.asks, book.is_stale) == ((), (), False)
        for order in (buy("2", "15000"), buy("1", "14999.5"), sell("3", "15001")):
            await venue.order(venue.alice, order)
        await venue.order(venue.bob, sell("0.5", "15000"))
        trade = await venue.trade()
        assert (trade.trade_pair, trade.amount, trade.price) == (PAIR, Decimal("0.5"), Decimal(15000))
        assert trade.maker_buy
        assert venue.feed.last_trade(PAIR) == trade
        await venue.book_is_the_exchanges()
        assert book.best_bid == (Decimal(15000), Decimal("1.5"))
        assert book.best_ask == (Decimal(15001), Decimal(3))
        assert book.mid == Decimal("15000.5")
        assert book.price_for_volume("2", buying=False) == (Decimal(15000) * 3 + Decimal("14999.5")) / 4
        assert not book.is_crossed

        await venue.order(venue.bob, buy("4", "15001"))
        trade = await venue.trade()
        assert (trade.amount, trade.price, trade.maker_buy) == (Decimal(3), Decimal(15001), False)
        await venue.book_is_the_exchanges()
        assert book.best_bid == (Decimal(15001), Decimal(1))
        assert book.asks == ()
        await venue.order(venue.alice, cp.CancelAllOrders())
        await venue.order(venue.bob, cp.CancelAllOrders())
        async with asyncio.timeout(TIMEOUT):
            while book.bids:
                await anext(venue.feed)
        assert venue.feed.crossed_books == venue.feed.dropped == book.late_snapshots == 0


async def test_trades_carry_the_exact_time(
    kind: TransportKind, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    async with market(alice_key, exchange_key, client_kind=kind) as venue:
        await venue.order(venue.alice, buy("5", "100"))
        times = set()
        for _ in range(5):
            await venue.order(venue.bob, sell("1", "100"))
            trade = await venue.trade()
            seconds, milliseconds = trade.time
            assert seconds == 1_700_000_000
            assert 0 < milliseconds < 1000
            assert trade.at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
            times.add(trade.time)
        assert len(times) == 5


async def test_a_restart_makes_the_book_stale_and_then_fresh(
    kind: TransportKind, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    async with market(alice_key, exchange_key, client_kind=kind) as venue:
        feed, book = venue.feed, venue.feed.book(PAIR)
        await venue.order(venue.alice, buy("2", "15000"))
        await venue.book_is_the_exchanges()
        for round_ in range(1, 4):
            states = feed.states()
            assert (await anext(states)).state is cp.FeedState.LIVE
            restart = asyncio.ensure_future(venue.exchange.restart())
            async with asyncio.timeout(TIMEOUT):
                state = await anext(states)
                assert state.state is cp.FeedState.WAITING
                assert isinstance(state.error, cp.ServerRestart)
                await restart
                await feed.wait_book(PAIR)
            assert feed.connections == round_ + 1
            assert book.best_bid == (Decimal(15000), Decimal(2))


async def test_the_book_is_stale_at_once_when_the_exchange_goes(
    kind: TransportKind, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    async with market(alice_key, exchange_key, client_kind=kind) as venue:
        await venue.order(venue.alice, buy("2", "15000"))
        await venue.book_is_the_exchanges()
        await venue.exchange.close()
        async with asyncio.timeout(TIMEOUT):
            async for state in venue.feed.states():
                if state.state is cp.FeedState.WAITING and state.attempt > 3:
                    break
        assert venue.feed.book(PAIR).is_stale
        assert venue.feed.book(PAIR).bids == ()
        assert "cannot connect" in venue.feed.state.reason
        await venue.exchange.start()
        await venue.feed.wait_book(PAIR, timeout=TIMEOUT)
        assert venue.feed.book(PAIR).best_bid == (Decimal(15000), Decimal(2))


async def test_disabled_and_enabled_pairs_are_reported(
    kind: TransportKind, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    async with market(alice_key, exchange_key, client_kind=kind) as venue:
        feed = venue.feed
        venue.exchange.disable_pairs([PAIR, "ETH_USD"])
        venue.exchange.enable_pairs(["ETH_USD"])
        told: list[object] = []
        async with asyncio.timeout(TIMEOUT):
            while len(told) < 2:
                update = await anext(feed)
                if not isinstance(update, cp.OrderBookAgg | cp.TradingRules):
                    told.append(update)
        assert told == [cp.TradesDisabledOnPairs([PAIR, "ETH_USD"]), cp.TradesEnabledOnPairs(["ETH_USD"])]
        assert (feed.disabled_pairs, feed.enabled_pairs) == (frozenset([PAIR]), frozenset(["ETH_USD"]))


async def test_close_does_not_wait_for_a_peer_that_never_answers(kind: TransportKind) -> None:
    accepted, over, gone = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await over.wait()
        writer.close()
        gone.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, asyncio.timeout(TIMEOUT):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with cp.MarketData(url, transport=kind, open_timeout=60.0) as feed:
            await accepted.wait()
            assert feed.state.state is cp.FeedState.CONNECTING
        over.set()
        await gone.wait()


async def test_a_book_larger_than_the_limit_is_the_reason_of_a_reconnect(
    kind: TransportKind, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    async with market(alice_key, exchange_key) as venue:
        for price in range(100, 110):
            await venue.order(venue.alice, buy("0.01", str(price)))
        await venue.book_is_the_exchanges()
        backoff = cp.Backoff(0.001, 0.01)
        async with (
            cp.MarketData(
                venue.exchange.market_data_url, transport=kind, backoff=backoff, max_message_size=200
            ) as feed,
            asyncio.timeout(TIMEOUT),
        ):
            async for state in feed.states():
                if state.attempt >= 2:
                    break
            assert isinstance(feed.state.error, cp.DecodeError)
            assert "200" in feed.state.reason
