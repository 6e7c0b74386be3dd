"""Bots on recordings: twice the same, the same as live, and without a view of what is to come."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.recording.backtest import BacktestResult, Bot, backtest
from cryptoproto.recording.block import Snapshot
from cryptoproto.recording.format import MARKER
from cryptoproto.recording.recording_file import BlockRead, RecordingReader
from tests.support.bots import PAIR, idle, quoting
from tests.support.recordings import CONNECTED, START_US, Market, PushFeed, Recorded, changed, write_recording
from tests.support.scripted_feed import book, trade

RICH = {"USD": "1000000", "BTC": "1000"}


def updates_of(seed: int, count: int) -> list[Recorded]:
    """Updates 10 ms apart."""
    return [(10 * number, update) for number, update in enumerate(Market(seed).take(count))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two minutes of a market."""
    updates = updates_of(5, 1200)
    return write_recording(tmp_path / "a.rec", [(0, CONNECTED), *updates[:600]], updates[600:])


def run(path: Path, bot: Bot, **options: Any) -> BacktestResult:
    return backtest(path, bot, **({"balances": RICH} | options))


def test_a_backtest_repeats_itself_byte_for_byte(path: Path) -> None:
    first, second = run(path, quoting), run(path, quoting)
    assert len(first.fills) > 20
    assert first.events == second.events
    assert first.fills == second.fills
    assert first.points == second.points
    assert first.updates == 1200
    assert (first.end - first.start).total_seconds() == pytest.approx(11.99)
    assert first.orders == first.events.count(b"OrderPlaced")
    assert first.speed > 0


class TimedFeed(PushFeed):
    """The market of the exchange that the live bot trades on."""

    us = START_US

    def time_ns(self) -> int:
        return self.us * 1000


async def test_the_bot_gets_the_same_events_live(
    tmp_path: Path, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey
) -> None:
    """On real sockets, with an exchange that sees the same market at the same times of day."""
    updates = updates_of(7, 600)
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED), *updates])
    expected = await asyncio.to_thread(run, path, quoting)
    assert len(expected.fills) > 3
    async with (
        TimedFeed(pairs=[PAIR]) as market,
        Exchange(private_key=exchange_key, feed=market, book_interval=0.0001) as exchange,
    ):
        exchange.register("bot", alice_key.public_key, RICH)
        async with (
            cp.MarketData(exchange.market_data_url) as feed,
            cp.Client(
                exchange.url, client_id="bot", private_key=alice_key, server_key=exchange.public_key,
                order_ids=itertools.count(1).__next__,
            ) as client,
        ):  # fmt: skip
            stepping = Stepping(feed)
            await feed.wait_book(PAIR, timeout=10)
            await anext(feed)  # the empty book that a reader is welcomed with
            running = asyncio.ensure_future(quoting(client, stepping))  # type: ignore[arg-type]
            for after_ms, update in updates:
                await stepping.idle.wait()
                stepping.idle.clear()
                market.us = START_US + after_ms * 1000
                market.push(update)  # type: ignore[arg-type]
            await asyncio.wait_for(stepping.idle.wait(), 10)
            running.cancel()
            record = exchange.venue.client("bot")
            assert record is not None
            live = [each.payload for each in record.history]
            assert live == expected.events.splitlines()


class Stepping:
    """A live feed that says when the bot asks for the next update, so that the market can wait for it."""

    def __init__(self, feed: cp.MarketData) -> None:
        self._feed = feed
        self.idle = asyncio.Event()
        self.book = feed.book

    def __aiter__(self) -> Stepping:
        return self

    async def __anext__(self) -> Any:
        if not self._feed.queued:
            self.idle.set()
        return await anext(self._feed)


# No look ahead


def reachable(roots: Iterable[object]) -> Iterable[object]:
    """All objects that a bot could get hold of by attributes, without the event loop and its tasks."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(
            each, type | ModuleType | CodeType | asyncio.AbstractEventLoop | asyncio.Task | asyncio.TimerHandle
        ):
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, FunctionType):
            waiting.extend(each.__closure__ or ())
        else:
            waiting.extend(gc.get_referents(each))


def test_nothing_that_a_bot_gets_leads_to_what_is_to_come(path: Path) -> None:
    found: list[object] = []

    async def spying(client: cp.Client, feed: cp.Feed) -> None:
        await feed.wait_book(PAIR)
        async for _ in feed:
            if feed.time_ns() > (START_US + 3_000_000) * 1000:
                break
        now = feed.book(PAIR).current_order_id or 0
        for each in reachable([client, feed]):
            if isinstance(each, cp.Replay | RecordingReader | BlockRead | Snapshot):
                found.append(each)
            if isinstance(each, cp.OrderBookAgg | cp.AnonymousTrade) and each.current_order_id > now + 1000:
                found.append(each)
        assert any(isinstance(each, Exchange) for each in reachable([client])), "or nothing was looked at"

    run(path, spying)
    assert found == []


def test_a_bot_cannot_read_past_the_present(path: Path) -> None:
    times: list[float] = []

    async def greedy(client: cp.Client, feed: cp.Feed) -> None:
        loop = asyncio.get_running_loop()
        await feed.wait_book(PAIR)
        while feed.queued:
            await anext(feed)
        for _ in range(100):
            await asyncio.sleep(0)
        times.append(loop.time())
        assert feed.queued == 0
        with pytest.raises(cp.RequestTimeout):
            await feed.wait_book("ETH_USD", timeout=0.005)
        assert feed.queued == 0
        await anext(feed)
        times.append(loop.time())

    run(path, greedy)
    assert times == [0, pytest.approx(0.01)]


def test_an_order_is_filled_by_what_comes_after_it(tmp_path: Path) -> None:
    """Not by the trade that the bot has seen."""
    path = write_recording(
        tmp_path / "a.rec",
        [(0, CONNECTED), (0, book(1)), (100, trade(2, "100")), (200, trade(3, "100")), (300, trade(4, "100"))],
    )

    async def late(client: cp.Client, feed: cp.Feed) -> None:
        async for update in feed:
            if update == trade(2, "100"):
                await client.place(PAIR, "buy", amount="1", price="100")

    (fill,) = run(path, late).fills
    assert fill.at.timestamp() == START_US / 1e6 + 0.3  # the recorded volume at the price was first
    assert fill.maker


# What a bot sees


def test_time_is_that_of_the_recording(path: Path) -> None:
    seen: list[float] = []

    async def sleeping(client: cp.Client, feed: cp.Feed) -> None:
        await feed.wait_book(PAIR)
        await asyncio.sleep(5)
        seen.append(feed.time_ns() / 1e9 - START_US / 1e6)
        order = await client.place(PAIR, "buy", amount="0.1", price="1")
        await client.cancel(order)

    result = run(path, sleeping)
    assert seen == [pytest.approx(5)]
    assert b'"time":[1700000005,' in result.events


def test_latency_delays_orders_and_events(path: Path) -> None:
    took: list[float] = []

    async def placing(client: cp.Client, feed: cp.Feed) -> None:
        await feed.wait_book(PAIR)
        loop = asyncio.get_running_loop()
        before = loop.time()
        await client.place(PAIR, "buy", amount="0.1", price="1")
        took.append(loop.time() - before)

    result = run(path, placing, latency=0.05)
    assert took == [pytest.approx(0.1)]
    assert result.orders == 1


def test_a_bot_that_does_not_end_is_cancelled_after_the_recording(path: Path) -> None:
    ended: list[str] = []

    async def endless(client: cp.Client, feed: cp.Feed) -> None:
        try:
            await asyncio.sleep(86_400)
        except asyncio.CancelledError:
            ended.append(feed.state.reason)
            raise

    assert run(path, endless).fills == []
    assert ended == ["the recording has ended"]


def test_a_bot_that_ends_early_ends_the_backtest(path: Path) -> None:
    async def short(client: cp.Client, feed: cp.Feed) -> None:
        await feed.wait_book(PAIR)

    assert run(path, short).updates < 10


def test_what_a_bot_raises_comes_out(path: Path) -> None:
    async def wrong(client: cp.Client, feed: cp.Feed) -> None:
        await feed.wait_book(PAIR)
        raise ZeroDivisionError("of the bot")

    with pytest.raises(ZeroDivisionError, match="of the bot"):
        run(path, wrong)


def test_money_and_fees(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "a.rec", [(0, CONNECTED), (0, book(1, {"99": "5"}, {"101": "5"})), (2000, trade(2))]
    )

    async def buying(client: cp.Client, feed: cp.Feed) -> None:
        await feed.wait_book(PAIR)
        await client.place(PAIR, "buy", amount="2", price="101")
        await idle(client, feed)

    result = run(path, buying, balances={"USD": "1000"}, taker_fee="0.01")
    assert result.balances == {"USD": Decimal(798), "BTC": Decimal("1.98")}
    assert result.fees == {"BTC": Decimal("0.02")}
    assert (result.quote, result.profit) == ("USD", Decimal(-4))
    assert result.max_drawdown == Decimal(4)
    values = result.as_dict()
    assert values["profit"] == "-4.00000000"
    assert values["fills"] == 1
    assert run(path, buying, balances={"USD": "1000"}, quote="BTC").quote == "BTC"


def test_a_part_of_a_recording(path: Path) -> None:
    result = run(path, idle, since=START_US / 1e6 + 6, pairs=[PAIR])
    assert result.updates == 600
    assert run(path, idle, pairs=["ETH_USD"]).updates == 0


# Bad input


def test_damage_ends_a_backtest(path: Path) -> None:
    changed(path, path.read_bytes().index(MARKER) + 60)
    with pytest.raises(cp.RecordingError, match="block 0 is damaged"):
        run(path, idle)

    async def asleep(client: cp.Client, feed: cp.Feed) -> None:
        await asyncio.sleep(86_400)

    with pytest.raises(cp.RecordingError, match="block 0 is damaged"):
        run(path, asleep)
    assert run(path, idle, skip_damaged=True).updates == 600


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"balances": {}}, "must name what the bot starts with"),
        ({"balances": {"USD": -1}}, "USD"),
        ({"latency": -1}, "latency=-1"),
        ({"latency": True}, "latency=True"),
        ({"maker_fee": "2"}, "maker_fee"),
        ({"maker_fee": "much"}, "maker_fee='much'"),
        ({"pairs": "BTC_USD"}, "must be a list"),
    ],
)
def test_bad_options(path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        run(path, idle, **options)


def test_a_bot_has_to_be_a_coroutine_function(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"async def main\(client, feed\)"):
        run(path, lambda client, feed: None)  # type: ignore[arg-type,return-value]
