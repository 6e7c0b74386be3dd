"""Two clients trade end to end: events are exact, can be replayed from any position, and are deterministic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.raw import RawClient
from tests.support.trading import Clock, Floor, limit, read_until, trade

V5 = cp.Protocol.V5


@pytest.fixture
async def floor(keys: dict[str, cp.PrivateKey], kind: Any, protocol: cp.Protocol) -> AsyncIterator[Floor]:
    fees = {"maker_fee": Decimal("0.001"), "taker_fee": Decimal("0.002")}
    async with trade(keys, {"transport": kind, "protocol": protocol}, transport=kind, clock=Clock(), **fees) as floor:
        yield floor


async def known(connection: cp.Connection, count: int) -> list[cp.Event]:
    """The next *count* events."""
    return [await anext(connection) for _ in range(count)]


async def test_two_clients_trade_with_exact_balances(floor: Floor) -> None:
    before = floor.exchange.totals()
    async with floor.connect("alice") as alice, floor.connect("bob") as bob:
        await alice.send(limit("Sell", "1.5", "20000.01", 1))
        await read_until(alice, lambda event: isinstance(event.message, cp.SellOrderPlaced))
        await bob.send(limit("Buy", "0.50000001", "20000.01", 2))
        sold = await read_until(alice, lambda event: isinstance(event.message, cp.OwnTrade))
        bought = await read_until(bob, lambda event: isinstance(event.message, cp.OwnTrade))
        trades = [events[-1].message for events in (sold, bought)]
        for each, maker in zip(trades, (True, False), strict=True):
            assert isinstance(each, cp.OwnTrade)
            assert (each.amount, each.price, each.maker) == (Decimal("0.50000001"), Decimal("20000.01"), maker)
            assert each.maker_buy is False
        await bob.request(cp.UserBalanceRequest())
        await alice.request(cp.UserBalanceRequest())
    paid = Decimal("0.50000001") * Decimal("20000.01")
    dollars, coins = floor.funds("bob")["USD"], floor.funds("bob")["BTC"]
    assert dollars == (Decimal(1_000_000) - paid.quantize(Decimal("1e-8")), Decimal(0))
    assert abs(coins[0] - (100 + Decimal("0.50000001") * Decimal("0.998"))) <= Decimal("1e-8")
    dollars, coins = floor.funds("alice")["USD"], floor.funds("alice")["BTC"]
    assert abs(dollars[0] - (1_000_000 + paid * Decimal("0.999"))) <= Decimal("1e-8")
    assert coins == (Decimal("98.5"), Decimal("0.99999999"))
    assert floor.exchange.totals() == before


async def test_money_arrives_and_leaves(floor: Floor) -> None:
    async with floor.connect("alice") as alice:
        floor.exchange.deposit("alice", "BTC", "0.00000001", to_address="bc1")
        accepted, balance = await known(alice, 2)
        assert isinstance(accepted.message, cp.DepositTransactionAccepted)
        assert (accepted.message.currency, accepted.message.amount) == ("BTC", Decimal("0.00000001"))
        assert accepted.message.transaction_info.to_address == "bc1"
        assert isinstance(balance.message, cp.SetBalance)
        assert balance.message.balance == Decimal("100.00000001")
        floor.exchange.withdraw("alice", "USD", 999_999)
        accepted, balance = await known(alice, 2)
        assert isinstance(accepted.message, cp.WithdrawalTransactionAccepted)
        assert isinstance(balance.message, cp.SetBalance)
        assert balance.message.balance == 1
        with pytest.raises(cp.ConfigurationError):
            floor.exchange.withdraw("alice", "USD", 2)
        reply = await alice.request(cp.UserBalanceRequest())
        assert isinstance(reply, cp.UserBalanceResponse)
        assert reply == floor.exchange.balances("alice")
        assert alice.queued == 0, "a refused withdrawal is no event"


async def test_ttl_by_a_simulated_clock(keys: dict[str, cp.PrivateKey]) -> None:
    clock = Clock()
    async with trade(keys, {"protocol": V5}, clock=clock) as floor, floor.connect("alice") as alice:
        await alice.send(limit("Buy", "1", "100", ttl=60))
        await alice.send(limit("Buy", "1", "101"))
        await read_until(alice, lambda event: isinstance(event.message, cp.BuyOrderPlaced))
        await read_until(alice, lambda event: isinstance(event.message, cp.BuyOrderPlaced))
        clock.advance(30)
        floor.exchange.expire_orders()
        assert len(floor.exchange.open_orders("alice").order_books["BTC_USD"].buy) == 2
        clock.advance(90)
        floor.exchange.expire_orders()
        events = await read_until(alice, lambda event: isinstance(event.message, cp.BuyOrderCancelled))
        assert events[-1].timestamp == pytest.approx(clock.ns / 1e9, abs=1e-5)
        assert [str(order.price) for order in floor.exchange.open_orders("alice").order_books["BTC_USD"].buy] == [
            "101.00000000"
        ]
        clock.advance(10**6)
        floor.exchange.expire_orders()
        assert len(floor.exchange.open_orders("alice").order_books["BTC_USD"].buy) == 1, "ttl 0 is for ever"


async def test_replay_of_everything_after_the_last_seen(floor: Floor) -> None:
    async with floor.connect("alice") as alice, floor.connect("bob") as bob:
        for number in range(20):
            await alice.send(limit("Sell" if number % 2 else "Buy", "0.1", "150" if number % 2 else "100"))
        await bob.send(limit("Buy", "0.55", "150"))
        await bob.request(cp.UserOrdersRequest())
        await alice.request(cp.UserOrdersRequest())
        live = [await anext(alice) for _ in range(alice.queued)]
    ids = [event.transaction_id or 0 for event in live]
    assert ids == sorted(set(ids))
    assert len(ids) > 40
    first, middle, last = ids[0], ids[len(ids) // 2], ids[-1]
    for seen in (0, first - 1, first, middle - 1, middle, middle + 1, last - 1, last, last + 1, -1, 2**62):
        async with floor.connect("alice", resume_from=seen) as again:
            await again.request(cp.UserOrdersRequest())
            replayed = [await anext(again) for _ in range(again.queued)]
            expected = [event for event in live if seen >= 0 and (event.transaction_id or 0) > seen]
            assert [(e.transaction_id, e.timestamp, e.raw) for e in replayed] == [
                (e.transaction_id, e.timestamp, e.raw) for e in expected
            ]


async def test_live_events_follow_the_replay_in_order(floor: Floor) -> None:
    """A replay over several turns of the event loop, while new events arrive."""
    for _ in range(1500):
        floor.exchange.deposit("alice", "USD", 1)
    async with floor.connect("alice") as alice, floor.connect("bob"):
        for _ in range(50):
            floor.exchange.deposit("alice", "BTC", 1)
            await asyncio.sleep(0)
        events = await known(alice, 3100)
        ids = [event.transaction_id or 0 for event in events]
        assert ids == sorted(set(ids))
        deposits = [event.message for event in events if isinstance(event.message, cp.DepositTransactionAccepted)]
        assert [message.currency for message in deposits] == ["USD"] * 1500 + ["BTC"] * 50


async def test_a_response_comes_behind_the_replay(floor: Floor) -> None:
    """A replay over several turns; a response means that the client has received every event before it."""
    for _ in range(1500):
        floor.exchange.deposit("alice", "USD", 1)
    async with floor.connect("alice") as alice:
        await alice.request(cp.UserBalanceRequest())
        assert alice.queued == 3000
        floor.exchange.deposit("alice", "USD", 1)
        await alice.request(cp.UserBalanceRequest())
        assert alice.queued == 3002


async def test_the_same_input_gives_the_same_output(keys: dict[str, cp.PrivateKey]) -> None:
    async def run(protocol: cp.Protocol) -> tuple[Any, ...]:
        clock = Clock()
        told: list[tuple[int | None, float | None, bytes]] = []
        async with trade(keys, {"protocol": protocol}, clock=clock) as floor:
            async with floor.connect("alice") as alice, floor.connect("bob") as bob:
                for number in range(10):
                    for client, side in ((alice, "Sell"), (bob, "Buy")):
                        await client.send(limit(side, f"0.{number + 1}", str(100 + number % 3), ttl=60 * (number % 2)))
                        await client.request(cp.UserOrdersRequest())
                    clock.advance(17)
                floor.exchange.expire_orders()
                for client in (alice, bob):
                    await client.request(cp.UserOrdersRequest())
                    events = [await anext(client) for _ in range(client.queued)]
                    told += [(event.transaction_id, event.timestamp, event.raw) for event in events]
            return told, floor.funds("alice"), floor.funds("bob"), floor.exchange.book("BTC_USD")

    first = await run(V5)
    assert first == await run(V5)
    assert first == await run(cp.Protocol.SIGNED)
    assert len(first[0]) > 50


async def test_a_slow_client_stalls_nobody_and_costs_no_memory(keys: dict[str, cp.PrivateKey], kind: Any) -> None:
    async with trade(keys, {"protocol": V5, "transport": kind}, transport=kind) as floor:
        exchange = floor.exchange
        async with RawClient.connected(exchange.url) as slow, floor.connect("bob") as bob:
            await slow.shake_hands(keys, V5)
            async with asyncio.timeout(20):
                while "alice" not in exchange.connected_clients:  # noqa: ASYNC110 - the exchange has no event for it
                    await asyncio.sleep(0)
            (link,) = (link for link in exchange.links if link.record is exchange.venue.client("alice"))
            slow.link.pause_reading()
            sent = 0
            while link.outbound.drain is None:
                exchange.deposit("alice", "USD", 1)
                sent += 1
                assert sent < 200_000, "the exchange never felt it"
                if sent % 100 == 0:
                    await bob.request(cp.UserBalanceRequest())
            cursor = link.outbound._cursor
            for _ in range(1000):
                exchange.deposit("alice", "USD", 1)
            await bob.request(cp.UserBalanceRequest())
            assert link.outbound._cursor == cursor, "what is not read stays in the history, where it is anyway"
            # Broadcasts are in no history: they wait in the link, up to a bound, and then the link goes.
            for number in range(1200):
                (exchange.enable_pairs if number % 2 else exchange.disable_pairs)(["BTC_USD"])
            assert link._closing
            await bob.request(cp.UserBalanceRequest())
            slow.link.resume_reading()
            await slow.closed


async def test_a_reader_who_catches_up_gets_all_of_it(keys: dict[str, cp.PrivateKey], kind: Any) -> None:
    options = {"protocol": V5, "transport": kind}
    async with trade(keys, options, transport=kind) as floor, floor.connect("alice", max_queue=100) as alice:
        for _ in range(30):
            for _ in range(500):
                floor.exchange.deposit("alice", "USD", 1)
            await asyncio.sleep(0)
        events = await known(alice, 30_000)
        ids = [event.transaction_id or 0 for event in events]
        assert ids == list(range(ids[0], ids[0] + 30_000))
