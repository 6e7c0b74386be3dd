"""A bot's life, many times over, on virtual time: links that break, processes that end, readers that sleep."""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.states import State
from cryptoproto.exchange import Exchange
from cryptoproto.messages import BuyOrderCancelled, BuyOrderPlaced, SellOrderCancelled, SellOrderPlaced, decode
from tests.support.lines import Line, trader, until_state
from tests.support.virtual_time import virtual

SEEDS = int(os.environ.get("SEEDS", "48"))
PAIR = "BTC_USD"


class Life:
    """Alice's bot, over several processes that share a store, at an exchange where bob trades, too."""

    def __init__(self, seed: int, exchange: Exchange, keys: dict[str, cp.PrivateKey]) -> None:
        self.choice = random.Random(seed)
        self.exchange = exchange
        self.keys = keys
        self.line = Line(exchange)
        self.store = cp.MemoryStore()
        self.seen: list[int] = []
        self.verdicts: dict[int, list[Any]] = {}
        self.asked = 0
        self.replacements = 0
        self.unplaced: set[int] = set()
        self.replaced: dict[int, int] = {}
        self.poor: set[int] = set()

    def tell(self, number: int | None, outcome: Any) -> None:
        if number is not None:
            self.verdicts.setdefault(number, []).append(outcome)

    async def process(self, seconds: float) -> None:
        choice = self.choice
        client = trader(
            self.line,
            self.keys["alice"],
            store=self.store,
            max_queue=choice.choice((5, 50, 5000)),
            resend=choice.choice(("never", "once")),
            order_rate=choice.choice((None, 15)),
            backoff=cp.Backoff(0.2, 2.0, random=choice.random),
            request_timeout=3.0,
            protocol=cp.Protocol.V5,
        )
        reports = client.reports()
        events = client.events()
        tasks = [asyncio.create_task(self.report(reports))]
        await client.start()
        tasks.append(asyncio.create_task(self.read(events)))
        tasks += [asyncio.create_task(self.trade(client)) for _ in range(3)]
        await asyncio.sleep(seconds)
        if choice.random() < 0.5:
            await until_state(client, State.LIVE)
        await client.close(choice.choice((0.0, 1.0)))
        for task in tasks[2:]:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks[:2]:
            task.result()

    async def read(self, events: Any) -> None:
        async for event in events:
            if event.transaction_id is None:
                continue
            if self.seen and self.seen[-1] == event.transaction_id:
                continue  # the one that the last process was at when it ended: nobody said that it was handled
            self.seen.append(event.transaction_id)
            if self.choice.random() < 0.02:
                await asyncio.sleep(self.choice.random() * 5)

    async def report(self, reports: Any) -> None:
        async for report in reports:
            if isinstance(report, cp.OutcomeReport):
                self.tell(report.client_order_id, report.error)

    async def trade(self, client: cp.Client) -> None:
        choice = self.choice
        while True:
            self.asked += 1
            number = self.asked
            price: Any = choice.randint(95, 105)
            if choice.random() < 0.1:
                price = 10**10
                self.poor.add(number)
            try:
                order = await client.place(
                    PAIR,
                    cp.Side.BUY if number in self.poor else choice.choice((cp.Side.BUY, cp.Side.SELL)),
                    amount=choice.choice(("0.01", "0.5", "2")),
                    price=price,
                    time_in_force=choice.choice((cp.TimeInForce.GTC, cp.TimeInForce.GTC, cp.TimeInForce.IOC)),
                    client_order_id=number,
                    timeout=choice.choice((0.5, 5.0)),
                    wait=choice.random() < 0.8,
                )
                self.tell(number, None)
                if choice.random() < 0.4:
                    order = await self.replace(client, order)
                if choice.random() < 0.5:
                    await client.cancel(order, timeout=2.0)
                if choice.random() < 0.1:
                    await client.cancel_all(timeout=2.0)
            except cp.OrderRejected as error:
                self.tell(number, error)
            except cp.CryptoprotoError as error:
                if not self.verdicts.get(number):
                    self.tell(number, error)
            await asyncio.sleep(choice.random() * 0.2)

    async def replace(self, client: cp.Client, order: cp.Order) -> cp.Order:
        choice = self.choice
        self.asked += 1
        number = self.asked
        pipelined = choice.random() < 0.3
        if not pipelined and order.order_id is not None:
            self.replaced[number] = order.order_id
        try:
            order = await client.replace(
                order,
                price=choice.randint(95, 105),
                timeout=choice.choice((0.5, 5.0)),
                client_order_id=number,
                pipelined=pipelined,
            )
        except cp.ReplaceIncomplete as error:
            if not isinstance(error.__cause__, cp.OutcomeUnknown):  # which is reported once it is known
                self.tell(number, error.__cause__)
        except cp.CryptoprotoError as error:
            if not (pipelined and isinstance(error, cp.OutcomeUnknown)):
                self.unplaced.add(number)
        else:
            self.tell(number, None)
        return order

    async def weather(self) -> None:
        """What happens to links."""
        choice, line = self.choice, self.line
        while True:
            await asyncio.sleep(choice.expovariate(1.0))
            what = choice.choice(("cut", "at a frame", "down", "code", "slow", "restart"))
            if what == "cut":
                line.cut()
            elif what == "at a frame":
                line.cut_at = {line.frames + choice.randint(1, 12)}
            elif what == "code":
                self.exchange.disconnect("alice", choice.choice((1000, 1001, 1011, 1012, 4001, 4009)))
            elif what == "slow" and line.links:
                link = line.links[0]
                link.hold_writes = True
                await asyncio.sleep(choice.random())
                link.hold_writes = False
            elif what == "down":
                line.is_down = True
                line.cut()
                await asyncio.sleep(choice.random() * 5)
                line.is_down = False

    async def others(self) -> None:
        """Bob takes what he finds."""
        other = Line(self.exchange)
        async with trader(other, self.keys["bob"], "bob", on_event=lambda event: None) as bob:
            while True:
                await bob.place(
                    PAIR,
                    self.choice.choice((cp.Side.BUY, cp.Side.SELL)),
                    amount="0.3",
                    price=100,
                    time_in_force=cp.TimeInForce.IOC,
                )
                await asyncio.sleep(self.choice.random() * 0.3)

    async def live(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # keeping the stack of every callback takes most of the time
        trader(self.line, self.keys["alice"])
        around = [asyncio.create_task(self.weather()), asyncio.create_task(self.others())]
        for _ in range(self.choice.randint(2, 4)):
            await self.process(self.choice.uniform(0.5, 6.0))
        for task in around:
            task.cancel()
        await asyncio.wait(around)
        self.line.is_down, self.line.cut_at = False, set()
        await self.last()

    async def last(self) -> None:
        """Fair weather at last."""
        client = trader(self.line, self.keys["alice"], store=self.store)
        reports = client.reports()
        events = client.events()
        async with client:
            reporting = asyncio.create_task(self.report(reports))
            record = self.exchange.venue.client("alice")
            assert record is not None
            there = [each.transaction_id for each in record.history]
            reading = asyncio.create_task(self.read(events))
            while self.seen[-1:] != there[-1:]:
                await asyncio.sleep(1)  # of virtual time; whatever is not here then never comes
                assert asyncio.get_running_loop().time() < 10_000
            assert self.seen == there
            self.check_tables(client)
        await reading
        await reporting
        messages = [decode(each.payload) for each in record.history]
        accepted = [m.client_order_id for m in messages if isinstance(m, BuyOrderPlaced | SellOrderPlaced)]
        self.check_outcomes(accepted)
        self.check_replaced(messages)

    def check_replaced(self, messages: list[Any]) -> None:
        """A new order was placed after the old one was cancelled, or not at all."""
        assert not self.unplaced & {getattr(message, "client_order_id", None) for message in messages}
        ended = set()
        for message in messages:
            if isinstance(message, BuyOrderCancelled | SellOrderCancelled):
                ended.add(message.order_id)
            elif isinstance(message, BuyOrderPlaced | SellOrderPlaced) and message.client_order_id in self.replaced:
                assert self.replaced[message.client_order_id] in ended, "both were open"
                self.replacements += 1

    def check_tables(self, client: cp.Client) -> None:
        book = self.exchange.open_orders("alice").order_books
        there = {row.order_id: row.amount for pair in book.values() for row in (*pair.buy, *pair.sell)}
        assert {order.order_id: order.remaining for order in client.orders.open} == there
        balances = self.exchange.balances("alice").balances
        assert {name: client.known_balances[name] for name in balances} == balances
        assert not self.store.outbox()
        assert client.metrics().gauges["unanswered_messages"] == 0.0

    def check_outcomes(self, accepted: list[int | None]) -> None:
        assert len(accepted) == len(set(accepted)), "an order was accepted twice"
        for number, verdicts in self.verdicts.items():
            final = [each for each in verdicts if not isinstance(each, cp.OutcomeUnknown)]
            assert len({type(each) for each in final}) == 1, (number, verdicts)
            verdict = final[0]
            if verdict is None:
                assert number in accepted, number
            elif isinstance(verdict, cp.InsufficientFundsError):
                assert number not in accepted
                assert number in self.poor or self.choice is not None
            else:
                assert isinstance(verdict, cp.RequestNotSent), (number, verdict)
                assert number not in accepted, (number, verdict)


@pytest.mark.parametrize("block", range(6))
def test_lives(block: int, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    asked = replacements = 0
    for seed in range(block * SEEDS // 6, (block + 1) * SEEDS // 6):
        print(f"seed {seed}")  # noqa: T201 - shown when it fails

        @virtual
        async def run(seed: int = seed) -> None:
            nonlocal asked, replacements
            life = Life(seed, Exchange(private_key=exchange_key), {"alice": alice_key, "bob": bob_key})
            await life.live()
            asked += life.asked
            replacements += life.replacements

        run()
    assert asked > 50
    assert replacements > 5
