"""Quotes on a real exchange: few messages, limits, newest levels first, and repair wherever the link is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from random import Random
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, trader, until, until_state
from tests.support.quoting import ScriptedClient
from tests.support.virtual_time import virtual

PAIR = "BTC_USD"
BID, ASK = ("100", "1"), ("110", "1")


@pytest.fixture
def exchange(exchange_key: cp.PrivateKey) -> Exchange:
    return Exchange(private_key=exchange_key)


@pytest.fixture
def line(exchange: Exchange) -> Line:
    return Line(exchange)


@asynccontextmanager
async def quoting(
    line: Line, key: cp.PrivateKey, client: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[tuple[cp.Client, cp.Quotes]]:
    backoff = cp.Backoff(initial=0.1, cap=1.0, random=lambda: 0.5)
    async with (
        trader(line, key, **{"backoff": backoff, **(client or {})}) as trading,
        cp.Quotes(trading, PAIR, **options) as quotes,
    ):
        yield trading, quotes


async def take(exchange: Exchange, key: cp.PrivateKey, side: str, amount: str, price: str) -> None:
    """Somebody else trades."""
    async with trader(Line(exchange), key, "bob") as bob:
        await bob.place(PAIR, side, amount=amount, price=price, time_in_force="ioc")


def levels(orders: list[cp.Order]) -> list[tuple[str, str, str]]:
    return [(order.side.value, f"{order.price.normalize():f}", f"{order.remaining.normalize():f}") for order in orders]


def resting(exchange: Exchange) -> list[tuple[str, str, str]]:
    """What is open at the exchange: side, price and amount."""
    books = exchange.open_orders("alice").order_books
    return sorted(
        (side, f"{row.price.normalize():f}", f"{row.amount.normalize():f}")
        for book in books.values()
        for side, rows in (("buy", book.buy), ("sell", book.sell))
        for row in rows
    )


def lose_the_answer(line: Line) -> None:
    """Lose the link for good once an order is open."""

    def cut(to: str) -> None:
        if resting(line.exchange):
            line.is_down = True
            line.on_frame = None
            line.cut()

    line.on_frame = cut


def sent(client: cp.Client) -> tuple[int, int]:
    counters = client.metrics().counters
    return counters["orders_sent"], counters["cancels_sent"]


@virtual
async def test_only_what_has_changed_is_sent(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (client, quotes):
        first = await quotes.update(bids=[BID, ("99", "2")], asks=[ASK])
        assert (len(first.placed), first.cancelled, first.kept, first.failed) == (3, (), (), ())
        assert resting(line.exchange) == [("buy", "100", "1"), ("buy", "99", "2"), ("sell", "110", "1")]
        again = await quotes.update(bids=[BID, ("99", "2")], asks=[ASK])
        assert (again.placed, again.cancelled, len(again.kept)) == ((), (), 3)
        moved = await quotes.update(bids=[BID, ("98", "2")], asks=[ASK])
        assert (levels(list(moved.placed)), len(moved.cancelled), len(moved.kept)) == ([("buy", "98", "2")], 1, 2)
        assert moved.is_complete
        assert str(moved) == "1 placed, 1 cancelled, 2 kept"
        assert sent(client) == (4, 1)
        assert [order.price for order in quotes.orders] == [98, 100, 110]
    assert resting(line.exchange) == []


@virtual
async def test_fills_are_made_up_by_the_next_update(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (client, quotes):
        await quotes.update([BID], [ASK])
        await take(line.exchange, alice_key, "sell", "0.4", "100")
        assert resting(line.exchange) == [("buy", "100", "0.6"), ("sell", "110", "1")]
        update = await quotes.update([BID], [ASK])
        assert (levels(list(update.placed)), len(update.kept)) == ([("buy", "100", "0.4")], 2)
        assert sent(client) == (3, 0)


@virtual
async def test_fills_that_are_not_made_up(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key, refill=False) as (client, quotes):
        await quotes.update([BID], [ASK])
        await take(line.exchange, alice_key, "sell", "0.4", "100")
        await quotes.update([BID], [ASK])
        assert sent(client) == (2, 0)
        await take(line.exchange, alice_key, "sell", "0.6", "100")
        await quotes.update([BID], [ASK])
        assert sent(client) == (3, 0)


@virtual
async def test_a_quote_that_trades_at_once_is_placed_once(line: Line, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(line.exchange), alice_key, "bob") as bob, quoting(line, alice_key) as (client, quotes):
        await bob.place(PAIR, "sell", amount="5", price="100")
        update = await quotes.update([BID])
        assert [order.status for order in update.placed] == [cp.OrderStatus.FILLED]
        assert update.is_complete
        assert sent(client) == (1, 0)


@virtual
async def test_limits_of_the_inventory(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key, max_long="1.5", max_short="0") as (_, quotes):
        assert quotes.position == 0
        bids = [BID, ("99", "1")]
        update = await quotes.update(bids, [ASK])
        assert resting(line.exchange) == [("buy", "100", "1"), ("buy", "99", "0.5")]
        assert update.limited == (
            cp.QuoteLevel(cp.Side.BUY, Decimal(99), Decimal("0.5")),
            cp.QuoteLevel(cp.Side.SELL, Decimal(110), Decimal(1)),
        )
        await take(line.exchange, alice_key, "sell", "0.7", "100")
        assert quotes.position == Decimal("0.7")
        await quotes.update(bids, [ASK])  # 0.8 may still be bought: all of it at the best level
        assert resting(line.exchange) == [("buy", "100", "0.3"), ("buy", "100", "0.5"), ("sell", "110", "0.7")]


@virtual
async def test_the_position_counts_from_a_balance_across_restarts(line: Line, alice_key: cp.PrivateKey) -> None:
    options: dict[str, Any] = {"max_long": "1", "max_short": "1", "flat_at": "100"}
    async with quoting(line, alice_key, **options) as (_, quotes):
        await quotes.update([BID], [ASK])
        await take(line.exchange, alice_key, "sell", "0.7", "100")
        assert quotes.position == Decimal("0.7")
    async with quoting(line, alice_key, **options) as (_, quotes):
        await quotes.update([BID], [ASK])
        assert quotes.position == Decimal("0.7")
        assert resting(line.exchange) == [("buy", "100", "0.3"), ("sell", "110", "1")]


@virtual
async def test_the_newest_levels_win(line: Line, alice_key: cp.PrivateKey) -> None:
    """With eight messages under way, the rest of the old levels is not sent any more."""
    async with quoting(line, alice_key, client={"order_rate": 2}) as (client, quotes):
        old = asyncio.ensure_future(quotes.update([(str(price), "1") for price in range(50, 80)]))
        await until(lambda: sent(client)[0] == 2)
        newer = asyncio.ensure_future(quotes.update([("81", "1")]))
        newest = asyncio.ensure_future(quotes.update([("82", "1")]))
        await asyncio.wait([old, newer, newest])
        assert old.result() is newer.result() is newest.result()
        assert resting(line.exchange) == [("buy", "82", "1")]
        assert sent(client) == (9, 8)


@virtual
async def test_who_leaves_an_update_leaves_the_quotes_as_they_are(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (_, quotes):
        update = asyncio.ensure_future(quotes.update([BID], [ASK]))
        await asyncio.sleep(0)
        update.cancel()
        await quotes.update([BID], [ASK])
        assert resting(line.exchange) == [("buy", "100", "1"), ("sell", "110", "1")]


@virtual
async def test_levels_that_can_never_be_valid(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (client, quotes):
        await quotes.update([BID], [ASK])
        wrong: list[Any] = [("110", "1"), ("x", "1"), (1.5, "1"), "15", 7, ("1", "2", "3")]
        for bid in wrong:
            with pytest.raises(cp.OrderInvalid):
                await quotes.update([bid], [ASK])
        assert sent(client) == (2, 0)
        assert len(quotes.orders) == 2


@virtual
async def test_what_fails_is_a_value_for_each_level(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (client, quotes):
        update = await quotes.update([("100", "1"), ("90", "1000000")], [ASK])
        assert not update.is_complete
        (failure,) = update.failed
        assert isinstance(failure.error, cp.InsufficientFundsError)
        assert failure.level == cp.QuoteLevel(cp.Side.BUY, Decimal(90), Decimal(1_000_000))
        assert failure.order is not None
        assert failure.order.status is cp.OrderStatus.REJECTED
        assert "1 failed (place buy 1000000 at 90: not enough USD" in str(update)
        line.cut()
        await until_state(client, cp.State.LIVE)
        await asyncio.sleep(1)
        assert sent(client) == (3, 0)  # a repair does not try again what was refused
        await quotes.update([("100", "1"), ("90", "1000000")], [ASK])
        assert sent(client) == (4, 0)


# Interruptions


@virtual
async def test_it_repairs_when_the_client_is_live_again(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (client, quotes):
        await quotes.update([BID], [ASK])
        line.is_down = True
        line.cut()
        await until_state(client, cp.State.WAITING)
        await take(line.exchange, alice_key, "sell", "0.4", "100")
        update = await quotes.update([BID, ("99", "1")], [("111", "1")])
        assert [type(each.error) for each in update.failed] == [cp.RequestNotSent] * 3
        assert "not connected" in str(update)
        line.is_down = False
        await until_state(client, cp.State.LIVE)
        await until(lambda: len(resting(line.exchange)) == 4)
        assert resting(line.exchange) == [
            ("buy", "100", "0.4"), ("buy", "100", "0.6"), ("buy", "99", "1"), ("sell", "111", "1"),
        ]  # fmt: skip


@virtual
async def test_levels_that_are_too_old_are_cancelled_after_an_interruption(
    line: Line, alice_key: cp.PrivateKey
) -> None:
    async with quoting(line, alice_key, max_age=5) as (client, quotes):
        await quotes.update([BID], [ASK])
        line.cut()
        await until_state(client, cp.State.LIVE)
        await asyncio.sleep(1)
        assert len(resting(line.exchange)) == 2
        line.is_down = True
        line.cut()
        await asyncio.sleep(10)
        line.is_down = False
        await until_state(client, cp.State.LIVE)
        await until(lambda: not resting(line.exchange))


@virtual
async def test_an_order_without_an_answer_is_not_doubled(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key, timeout=2) as (client, quotes):
        lose_the_answer(line)
        update = await quotes.update([BID])
        (failure,) = update.failed
        assert isinstance(failure.error, cp.OutcomeUnknown)
        assert failure.order is not None
        assert failure.order.status is cp.OrderStatus.UNKNOWN
        (again,) = (await quotes.update([BID])).failed
        assert isinstance(again.error, cp.OutcomeUnknown)
        line.is_down = False
        await until_state(client, cp.State.LIVE)
        update = await quotes.update([BID])
        assert (len(update.kept), update.placed) == (1, ())
        assert resting(line.exchange) == [("buy", "100", "1")]


@virtual
async def test_a_restarted_process_adopts_its_quotes(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key, cancel_on_exit=False) as (_, quotes):
        await quotes.update([BID, ("99", "1")], [ASK])
    assert len(resting(line.exchange)) == 3
    async with quoting(line, alice_key) as (client, quotes):
        assert len(quotes.orders) == 3
        update = await quotes.update([BID], [ASK])
        assert (len(update.kept), len(update.cancelled)) == (2, 1)
        assert sent(client) == (0, 1)
    assert resting(line.exchange) == []


@virtual
async def test_with_a_tag_other_orders_of_the_pair_are_left_alone(line: Line, alice_key: cp.PrivateKey) -> None:
    async with trader(line, alice_key) as client:
        await client.place(PAIR, "buy", amount="1", price="50")
        async with cp.Quotes(client, PAIR, tag=7, cancel_on_exit=False) as quotes:
            await quotes.update([BID])
    async with trader(line, alice_key) as client:
        async with cp.Quotes(client, PAIR, tag=8) as other:
            await other.update([("60", "1")])
            assert resting(line.exchange) == [("buy", "100", "1"), ("buy", "50", "1"), ("buy", "60", "1")]
        async with cp.Quotes(client, PAIR, tag=7) as quotes:
            assert len((await quotes.update([BID])).kept) == 1
        assert resting(line.exchange) == [("buy", "50", "1")]


@virtual
async def test_leaving_without_a_connection_waits_for_one(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (_, quotes):
        await quotes.update([BID], [ASK])
        line.cut()
    assert resting(line.exchange) == []
    assert (await quotes.close()) == cp.QuoteUpdate()
    with pytest.raises(cp.ConfigurationError, match="closed"):
        await quotes.update([BID])


@virtual
async def test_what_could_not_be_cancelled_is_reported(
    line: Line, alice_key: cp.PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    async with quoting(line, alice_key) as (_, quotes):
        await quotes.update([BID], [ASK])
        line.is_down = True
        line.cut()
        update = await quotes.close(timeout=3)
        assert len(update.failed) == 2
    assert "2 quotes could not be cancelled" in caplog.text


@virtual
async def test_two_calls_of_close_at_once(
    line: Line, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with quoting(line, alice_key) as (_, quotes):
        await quotes.update(bids=[BID])
        monkeypatch.setattr(line, "passes", lambda _: False)  # the exchange does not answer
        patient = asyncio.create_task(quotes.close(timeout=60))
        await asyncio.sleep(1)
        await quotes.close(timeout=0.1)
        await patient


@virtual
async def test_a_client_that_is_closed_for_good(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (client, quotes):
        await quotes.update([BID])
        await client.close()
        with pytest.raises(cp.ClientClosed):
            await quotes.update([BID])


@virtual
async def test_a_client_that_is_closed_during_an_update(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (client, quotes):
        lose_the_answer(line)
        update = asyncio.ensure_future(quotes.update([BID]))
        await until(lambda: line.is_down)
        await client.close()
        with pytest.raises(cp.ClientClosed):
            await update


@virtual
async def test_the_position_is_learned_with_the_next_connection(line: Line, alice_key: cp.PrivateKey) -> None:
    async with trader(line, alice_key) as client:
        line.cut_at = {line.frames + 2}  # the answer to the request for the balance
        line.is_down = True
        async with cp.Quotes(client, PAIR) as quotes:
            assert quotes.position is None
            assert len((await quotes.update([BID])).failed) == 1
            line.is_down = False
            await until_state(client, cp.State.LIVE)
            await until(lambda: len(resting(line.exchange)) == 1)
            assert quotes.position == 0


@virtual
async def test_a_balance_that_is_not_answered_is_asked_for_again() -> None:
    client = ScriptedClient()
    asked = 0

    def fail() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise cp.RequestTimeout("no answer")

    client.before_balance = fail
    quotes = cp.Quotes(client, PAIR, cancel_on_exit=False)
    await quotes.start()
    assert asked == 2
    await quotes.close()


@virtual
async def test_arguments_that_cannot_be_used() -> None:
    client = ScriptedClient()
    wrong: list[dict[str, Any]] = [
        {"trade_pair": "BTC"}, {"instrument": cp.Instrument("ETH_USD")}, {"max_long": -1}, {"max_short": 0.5},
        {"flat_at": "x"}, {"tolerance": -1}, {"tag": 0}, {"max_age": 0}, {"timeout": 0},
    ]  # fmt: skip
    for each in wrong:
        with pytest.raises(cp.ConfigurationError):
            cp.Quotes(client, **({"trade_pair": PAIR} | each))


@virtual
async def test_the_rules_of_the_client_are_followed(line: Line, alice_key: cp.PrivateKey) -> None:
    rules = {PAIR: cp.Instrument(PAIR, tick_size="0.5")}
    async with quoting(line, alice_key, client={"instruments": rules}) as (_, quotes):
        assert (await quotes.update([("100.7", "1")])).is_complete
        assert resting(line.exchange) == [("buy", "100.5", "1")]
        rules[PAIR] = cp.Instrument(PAIR, tick_size="1")
        assert (await quotes.update([("100.7", "1")])).is_complete
        assert resting(line.exchange) == [("buy", "100", "1")]


@virtual
async def test_the_middle_of_others_is_not_moved_by_own_fills(line: Line, alice_key: cp.PrivateKey) -> None:
    exchange = line.exchange
    book = cp.OrderBook(PAIR)

    async with trader(Line(exchange), alice_key, "bob") as bob, quoting(line, alice_key) as (_, quotes):
        await bob.place(PAIR, "buy", amount=1, price=90)
        await bob.place(PAIR, "sell", amount=1, price=120)
        assert quotes.middle(book) is None
        book.apply(exchange.book(PAIR))
        assert quotes.middle(book) == 105
        await quotes.update([BID], [ASK])
        assert quotes.middle(book) is None  # it is from before the quotes
        book.apply(exchange.book(PAIR))
        assert quotes.middle(book) == 105
        for _ in range(2):  # the book still shows what was filled
            await bob.place(PAIR, "sell", amount="0.5", price=100, time_in_force="ioc")
            await until(lambda: quotes.position in (Decimal("0.5"), Decimal(1)))
            assert quotes.middle(book) == 105
        await quotes.cancel()
        assert quotes.middle(book) == 105


@virtual
async def test_what_it_shows_of_itself(line: Line, alice_key: cp.PrivateKey) -> None:
    async with quoting(line, alice_key) as (_, quotes):
        await quotes.update([BID, ("99", "1")], [ASK])
        assert repr(quotes) == "<Quotes BTC_USD: 2 bids and 1 asks open, position 0>"


@virtual
async def test_prices_are_rounded_passively(line: Line, alice_key: cp.PrivateKey) -> None:
    instrument = cp.Instrument(PAIR, tick_size="0.5", lot_size="0.1", min_amount="0.1")
    async with quoting(line, alice_key, instrument=instrument) as (_, quotes):
        update = await quotes.update([("100.7", "1.09"), ("0.1", "1")], [("100.7", "1")])
        assert resting(line.exchange) == [("buy", "100.5", "1"), ("sell", "101", "1")]
        (failure,) = update.failed
        assert isinstance(failure.error, cp.OrderInvalid)


@virtual
async def test_every_interruption(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    """The link is cut at each frame in turn: never more than wanted, no own orders that meet, and the end is right."""
    steps: list[tuple[dict[str, str], dict[str, str]]] = [
        ({"100": "1", "99": "2"}, {"102": "1"}), ({"101": "1", "99": "1"}, {"103": "1"}), ({"104": "1"}, {"105": "2"}),
    ]  # fmt: skip
    cut_at, ended = 0, False
    while not ended:
        cut_at += 1
        line = Line(Exchange(private_key=exchange_key))
        line.cut_at = {cut_at + 8}  # after the handshake
        async with quoting(line, alice_key) as (client, quotes):
            for bids, asks in steps:
                watch = line.on_frame = Watch(line.exchange, bids, asks)
                update = await quotes.update(bids.items(), asks.items())
                if not update.is_complete:
                    await until_state(client, cp.State.LIVE)
                    await quotes.update(bids.items(), asks.items())
                assert watch.excesses == []
                assert resting(line.exchange) == sorted(
                    [("buy", *level) for level in bids.items()] + [("sell", *level) for level in asks.items()]
                )
            line.on_frame = None
            ended = line.frames < cut_at + 8
    assert cut_at > 40


class Watch:
    """Looks at the exchange at every frame: no more is open than was before, or than is wanted."""

    def __init__(self, exchange: Exchange, bids: dict[str, str], asks: dict[str, str]) -> None:
        self.exchange = exchange
        self.excesses: list[tuple[tuple[str, str], Decimal]] = []
        self.most = self.amounts()
        for side, levels in (("buy", bids), ("sell", asks)):
            for price, amount in levels.items():
                self.most[side, price] = max(self.most.get((side, price), Decimal(0)), Decimal(amount))
            whole = sum(map(Decimal, levels.values()), Decimal(0))
            self.most[side, ""] = max(self.most.get((side, ""), Decimal(0)), whole)

    def amounts(self) -> dict[tuple[str, str], Decimal]:
        """What is open at each price, and in all on each side."""
        amounts: dict[tuple[str, str], Decimal] = {}
        for side, price, amount in resting(self.exchange):
            for key in ((side, price), (side, "")):
                amounts[key] = amounts.get(key, Decimal(0)) + Decimal(amount)
        return amounts

    def __call__(self, to: str) -> None:
        self.excesses += [each for each in self.amounts().items() if each[1] > self.most.get(each[0], 0)]


@pytest.mark.parametrize("seed", range(8))
@virtual
async def test_limits_hold_whatever_happens(seed: int, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    """Random levels, takers, cuts and callers: with all that is open filled, the position is within the limits."""
    random = Random(seed)
    exchange = Exchange(private_key=exchange_key, maker_fee=Decimal("0.001"))
    line = Line(exchange)
    excesses: list[Decimal] = []

    def look(to: str) -> None:
        base = exchange.balances("alice").balances["BTC"]
        position = base.available + base.on_hold - 100
        open_orders = resting(exchange)
        bought = position + sum(Decimal(amount) for side, _, amount in open_orders if side == "buy")
        sold = position - sum(Decimal(amount) for side, _, amount in open_orders if side == "sell")
        if bought > 3 or sold < Decimal("-2.01"):  # fees are paid from the position
            excesses.extend([bought, sold])
        if random.random() < 0.01:
            line.cut()

    async def trade(bob: cp.Client) -> None:
        while True:
            side = random.choice(["buy", "sell"])
            price = 200 if side == "buy" else 50
            amount = Decimal(random.randint(1, 15)) / 10
            await bob.place(PAIR, side, amount=amount, price=price, time_in_force="ioc")
            await asyncio.sleep(random.random() / 100)

    options: dict[str, Any] = {
        "max_long": "3",
        "max_short": "2",
        "refill": bool(seed % 2),
        "client": {"order_rate": 200},
    }
    async with trader(Line(exchange), alice_key, "bob") as bob, quoting(line, alice_key, **options) as (alice, quotes):
        line.on_frame = look
        trading = asyncio.ensure_future(trade(bob))
        for _ in range(60):
            middle = random.randint(95, 105)
            bids = [(middle - each, str(random.randint(1, 3))) for each in random.sample(range(1, 4), 2)]
            asks = [(middle + each, str(random.randint(1, 3))) for each in random.sample(range(1, 4), 2)]
            update = asyncio.ensure_future(quotes.update(bids, asks))
            if random.random() < 0.3:  # newer levels, or a caller that leaves
                await asyncio.sleep(random.random() / 100)
                update.cancel()
            else:
                await update
            await asyncio.sleep(random.random() / 50)
        line.on_frame = None
        trading.cancel()
        assert sum(len(order.trades) for order in alice.orders) > 30
    assert excesses == []


@virtual
async def test_limits_of_the_client_hold_for_every_level(
    line: Line, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    limits = cp.OrderLimits(max_amount=2, max_open_value={"USD": 320})
    async with quoting(line, alice_key, client={"limits": limits}) as (client, quotes):
        bids, asks = [("100", "1"), ("99", "3"), ("98", "1")], [("110", "1"), ("120", "1")]
        update = await quotes.update(bids, asks)
        too_large, too_much = sorted(update.failed, key=lambda failure: failure.level.amount, reverse=True)
        assert "exceeds the limit max_amount=2" in str(too_large.error)
        assert too_large.level == cp.QuoteLevel(cp.Side.BUY, Decimal(99), Decimal(3))
        assert "exceed the limit max_open_value=320" in str(too_much.error)
        assert all(isinstance(failure.error, cp.OrderInvalid) for failure in update.failed)
        assert all(failure.order is None for failure in update.failed)
        assert len(update.placed) == len(resting(exchange)) == 3
        assert sent(client) == (3, 0)  # what was refused was not sent

        # A level that moves does not count twice, although its limit leaves no room for both.
        bids, asks = [("100", "1"), ("98", "1")], [("110", "1")]
        assert (await quotes.update(bids, asks)).is_complete
        assert (await quotes.update([("101", "1"), ("98", "1")], asks)).is_complete
        assert levels(quotes.orders) == [("buy", "98", "1"), ("buy", "101", "1"), ("sell", "110", "1")]
