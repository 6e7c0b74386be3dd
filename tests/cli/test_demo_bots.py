"""The bots of the demonstration: what they record, and that they come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import cryptoproto as cp
from cryptoproto.cli.demo_bots import Bot, MarketMaker, Taker
from cryptoproto.exchange import Exchange


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until *condition* is true."""
    while not condition():  # noqa: ASYNC110 - the bots have no event for it
        await asyncio.sleep(0)


async def test_a_bot_resumes_after_a_restart_and_records_every_transaction_once() -> None:
    bots: list[Bot] = [MarketMaker("maker", 1, Decimal(4)), Taker("taker", 2)]
    async with Exchange() as exchange:
        for bot in bots:
            exchange.register(bot.name, bot.key.public_key, {"USD": "1000000", "BTC": "100"})
        tasks = [asyncio.create_task(bot.run(exchange, "auto", cp.Protocol.V5)) for bot in bots]
        async with asyncio.timeout(30):
            await until(lambda: all(bot.round_trips for bot in bots))
            exchange.disable_pairs(["ETH_USD"])  # a broadcast, which has no transaction id
            await exchange.restart()
            await until(lambda: all(bot.connections == 2 for bot in bots))
            for bot in bots:
                await bot.stop_trading()
            for bot in bots:
                record = exchange.venue.client(bot.name)
                assert record is not None
                await bot.caught_up(record.history[-1].transaction_id)
                assert bot.ids == [entry.transaction_id for entry in record.history]
                assert bot.sent
                assert bot.latencies
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_waiting_for_a_transaction() -> None:
    bot = Taker("taker", 1)
    waiting = asyncio.create_task(bot.caught_up(7))
    for number in (6, 7):
        await asyncio.sleep(0)
        assert not waiting.done()
        bot._on_event(cp.Event(number, 1.0, cp.OrderNotFound(order_id=1), 0, b"{}"))
    async with asyncio.timeout(10):
        await waiting


async def test_an_order_of_an_earlier_run_counts_as_an_event_but_not_in_the_latencies() -> None:
    bot = Taker("taker", 1)
    one = Decimal(1)
    placed = cp.OrderPlaced(
        order_id=1,
        trade_pair="BTC_USD",
        time=(1, 0),
        client_order_id=7,
        price=one,
        initial_amount=one,
        amount=one,
    )
    bot._on_event(cp.Event(1, 1.0, placed, 0, b"{}"))
    assert (bot.ids, bot.latencies) == ([1], [])
