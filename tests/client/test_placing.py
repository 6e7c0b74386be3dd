"""Placing orders, at once or prepared."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.link import Link
from cryptoproto.client.order_calls import OrderCalls
from cryptoproto.client.order_checks import OrderChecks
from cryptoproto.client.placing import Placing
from cryptoproto.client.ready_messages import ReadyMessages
from cryptoproto.client.submission import Submission
from cryptoproto.exchange import Exchange
from cryptoproto.messages import decode
from tests.support.lines import Line, trader, until_state
from tests.support.peer import settle
from tests.support.stores import FullDisk

BOTH = pytest.mark.parametrize("protocol", list(cp.Protocol))
TERMS: dict[str, Any] = {"amount": "1", "price": "100"}
ORDER: dict[str, Any] = {
    "amount": "1", "price": "100", "time_in_force": "gtc", "ttl": 0,
    "client_order_id": 7, "timeout": 5.0, "wait": True, "resend": None,
}  # fmt: skip


class Desk:
    """Placing with an order entry that takes everything."""

    def __init__(self, limits: cp.OrderLimits | None = None) -> None:
        self.orders = cp.OrderTable()
        self.sent: list[Submission] = []
        link, self.ready = Link(), ReadyMessages(self.orders, keep_cancels=0)
        calls = OrderCalls(link, self.orders, self, resend=False, order_ids=None)
        checks = OrderChecks.of(None, limits, self.orders)
        self.placing = Placing(link, self.orders, self, calls, checks, self.ready)

    async def submit(self, submission: Submission, *, wait: bool) -> None:
        await asyncio.sleep(0)
        self.sent.append(submission)


async def test_an_order_is_checked_while_others_are_on_their_way() -> None:
    desk = Desk(cp.OrderLimits(max_open_value=150))
    desk.orders.adopt(cp.UserOrdersResponse({}))
    first = asyncio.ensure_future(desk.placing.place("BTC_USD", "buy", **ORDER))
    await asyncio.sleep(0)
    with pytest.raises(cp.OrderInvalid, match="max_open_value"):
        await desk.placing.place("BTC_USD", "buy", **ORDER)
    assert (await first).client_order_id == 7
    assert [each.order for each in desk.sent] == [await first]


async def test_an_order_without_checks() -> None:
    desk = Desk()
    order = await desk.placing.place("BTC_USD", "sell", **ORDER)
    assert order.side is cp.Side.SELL
    assert desk.sent[0].pending.client_order_id == 7


# Prepared


@pytest.fixture
def line(exchange_key: cp.PrivateKey) -> Line:
    return Line(Exchange(private_key=exchange_key))


def client(line: Line, key: cp.PrivateKey, **options: Any) -> cp.Client:
    arguments: dict[str, Any] = {
        "backoff": cp.Backoff(initial=0.001, cap=0.01),
        "protocol": cp.Protocol.SIGNED,
    }
    return trader(line, key, **(arguments | options))


def accepted(line: Line) -> list[int | None]:
    """The client order ids that the exchange has accepted, in order."""
    record = line.exchange.venue.client("alice")
    assert record is not None
    messages = [decode(each.payload) for each in record.history]
    return [each.client_order_id for each in messages if isinstance(each, cp.BuyOrderPlaced)]


def received(line: Line) -> int:
    """How many messages the exchange has received."""
    record = line.exchange.venue.client("alice")
    assert record is not None
    return record.last_sequence


@BOTH
async def test_a_prepared_order_leaves_at_once(
    line: Line, alice_key: cp.PrivateKey, protocol: cp.Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = cp.MemoryStore()
    async with client(line, alice_key, protocol=protocol, store=store) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=7)
        assert prepared.is_ready
        assert prepared.client_order_id == 7
        assert repr(prepared) == "<PreparedOrder of 7>"
        assert (list(alice.orders), store.outbox(), received(line)) == ([], [], 0)
        with monkeypatch.context() as patch:
            patch.setattr(cp.PrivateKey, "sign", None)  # it needs no signature
            placing = asyncio.ensure_future(prepared.place())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert [entry.client_order_id for entry in store.outbox()] == [7]
            order = await placing
        assert order.is_open
        assert order.amount == 1
        assert accepted(line) == [7]
        assert store.outbox() == []
        assert not prepared.is_ready


@BOTH
async def test_a_discarded_order_leaves_no_trace(line: Line, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    store = cp.MemoryStore()
    async with client(line, alice_key, protocol=protocol, store=store) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS)
        prepared.discard()
        prepared.discard()
        assert not prepared.is_ready
        for call in (prepared.place, prepared.wait_ready):
            with pytest.raises(cp.OrderInvalid, match=r"discarded already; prepare\(\) another one"):
                await call()
        await alice.place("BTC_USD", "buy", **TERMS, client_order_id=8)
        assert (len(alice.orders), store.outbox(), accepted(line), received(line)) == (1, [], [8], 1)
        assert not alice._ready._prepared


@BOTH
async def test_other_messages_take_its_sequence(line: Line, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    async with client(line, alice_key, protocol=protocol) as alice:
        first, second = [await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=each) for each in (1, 2)]
        order = await alice.place("BTC_USD", "buy", **TERMS, client_order_id=3)
        await alice.cancel(order)
        await alice.balances()
        await second.wait_ready()
        await second.place()
        await first.place()
        assert accepted(line) == [3, 2, 1]
        assert received(line) == 4


async def test_two_are_placed_together(line: Line, alice_key: cp.PrivateKey) -> None:
    async with client(line, alice_key) as alice:
        both = [await alice.prepare("BTC_USD", side, **TERMS) for side in ("buy", "sell")]
        bid, ask = await asyncio.gather(*(each.place() for each in both))
        assert (bid.side, ask.side) == (cp.Side.BUY, cp.Side.SELL)
        assert received(line) == 2


@BOTH
async def test_it_outlives_its_connection(line: Line, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    async with client(line, alice_key, protocol=protocol) as alice:
        await alice.place("BTC_USD", "buy", **TERMS, client_order_id=1)
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=2)
        line.is_down = True
        line.cut()
        await until_state(alice, cp.State.WAITING)
        readiness = [prepared.is_ready]
        await prepared.wait_ready()  # there is nothing to wait for
        line.is_down = False
        await until_state(alice, cp.State.LIVE)
        await prepared.wait_ready()
        readiness.append(prepared.is_ready)
        assert readiness == [False, True]
        await prepared.place()
        assert accepted(line) == [1, 2]


async def test_preparing_before_there_is_a_connection(line: Line, alice_key: cp.PrivateKey) -> None:
    line.is_down = True
    async with client(line, alice_key, backoff=cp.Backoff(initial=1000, cap=1000)) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=7)
        assert not prepared.is_ready
        with pytest.raises(cp.RequestNotSent):
            await prepared.place(wait=False)
        line.is_down = False
        alice.reconnect_now()
        assert (await prepared.place()).is_open, "it stayed prepared"
        assert accepted(line) == [7]


async def test_an_order_is_placed_once(line: Line, alice_key: cp.PrivateKey) -> None:
    async with client(line, alice_key) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=7)
        order, error = await asyncio.gather(prepared.place(), prepared.place(), return_exceptions=True)
        assert isinstance(order, cp.Order)
        assert isinstance(error, cp.OrderInvalid)
        prepared.discard()
        with pytest.raises(cp.OrderInvalid, match="placed already"):
            await prepared.place()
        with pytest.raises(cp.DuplicateClientOrderId, match="7 was used before"):
            await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=7)
        assert accepted(line) == [7]


async def test_rules_and_limits_are_checked_twice(line: Line, alice_key: cp.PrivateKey) -> None:
    instruments: dict[str, cp.Instrument] = {}
    limits = cp.OrderLimits(max_open_value=150)
    async with client(line, alice_key, instruments=instruments, limits=limits) as alice:
        with pytest.raises(cp.OrderInvalid, match="max_open_value"):
            await alice.prepare("BTC_USD", "buy", amount="2", price="100")
        first, second = [await alice.prepare("BTC_USD", "buy", **TERMS) for _ in range(2)]
        order = await first.place()
        with pytest.raises(cp.OrderInvalid, match="max_open_value"):
            await second.place()
        await alice.cancel(order)
        instruments["BTC_USD"] = cp.Instrument("BTC_USD", tick_size="7")
        with pytest.raises(cp.OrderInvalid, match="tick size"):
            await second.place()
        instruments.clear()
        assert (await second.place()).is_open
        assert received(line) == 3


async def test_the_rate_limit_counts_orders_when_they_are_placed(line: Line, alice_key: cp.PrivateKey) -> None:
    async with client(line, alice_key, limits=cp.OrderLimits(max_orders_per_second=2)) as alice:
        prepared = [await alice.prepare("BTC_USD", "buy", **TERMS) for _ in range(3)]
        await prepared[0].place()
        await prepared[1].place()
        with pytest.raises(cp.OrderInvalid, match="max_orders_per_second"):
            await prepared[2].place()


async def test_an_order_that_cannot_be_stored_stays_prepared(line: Line, alice_key: cp.PrivateKey) -> None:
    store = FullDisk()
    async with client(line, alice_key, store=store) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=7)
        store.is_full = True
        with pytest.raises(cp.StoreError):
            await prepared.place()
        store.is_full = False
        assert prepared.is_ready
        assert (await prepared.place()).is_open


async def test_the_exchange_refuses_it(line: Line, alice_key: cp.PrivateKey) -> None:
    async with client(line, alice_key) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", amount="1", price=10**9)
        with pytest.raises(cp.InsufficientFundsError):
            await prepared.place()
        with pytest.raises(cp.OrderInvalid, match="placed already"):
            await prepared.place()


@pytest.mark.parametrize("resend", ["never", "once"])
async def test_the_link_is_lost_before_the_exchange_has_it(line: Line, alice_key: cp.PrivateKey, resend: Any) -> None:
    async with client(line, alice_key) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS, client_order_id=7)
        line.cut_at.add(line.frames + 1)
        if resend == "once":
            assert (await prepared.place(resend=resend)).is_open
            assert accepted(line) == [7]
        else:
            with pytest.raises(cp.RequestNotSent):
                await prepared.place(resend=resend)
            assert accepted(line) == []
            with pytest.raises(cp.OrderInvalid, match="placed already"):
                await prepared.place()


async def test_preparing_is_cancelled(line: Line, alice_key: cp.PrivateKey) -> None:
    async with client(line, alice_key) as alice:
        preparing = asyncio.ensure_future(alice.prepare("BTC_USD", "buy", **TERMS))
        await asyncio.sleep(0)
        preparing.cancel()
        await settle()
        assert preparing.cancelled()
        assert not alice._ready._prepared


async def test_placing_is_cancelled_before_it_is_sent(line: Line, alice_key: cp.PrivateKey) -> None:
    async with client(line, alice_key, order_rate=0.001) as alice:
        await alice.place("BTC_USD", "buy", **TERMS)
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS)
        placing = asyncio.ensure_future(prepared.place())
        await settle()
        placing.cancel()
        await settle()
        assert prepared.is_ready
        assert received(line) == 1


async def test_a_closed_client_prepares_nothing(line: Line, alice_key: cp.PrivateKey) -> None:
    async with client(line, alice_key) as alice:
        prepared = await alice.prepare("BTC_USD", "buy", **TERMS)
    assert not prepared.is_ready
    for call in (prepared.place, lambda: alice.prepare("BTC_USD", "buy", **TERMS)):
        with pytest.raises(cp.ClientClosed):
            await call()
    prepared.discard()
