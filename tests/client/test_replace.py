"""Replacing an order: what was left, exactly, never two open orders, and a true outcome, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.messages import PlaceSellIoCOrder, decode, encode
from tests.support.lines import Line, client_of, patient, trader, until, until_state
from tests.support.peer import Script, cancelled, placed
from tests.support.stepping import CancelAt
from tests.support.trading import RICH, Clock
from tests.support.virtual_time import virtual

PAIR = "BTC_USD"
OLD, NEW = 1, 2
"""Client order ids."""


def quick() -> cp.Backoff:
    return cp.Backoff(initial=0.1, cap=1.0, random=lambda: 0.5)


class Floor:
    """Alice's client, whose bid is to be replaced, and bob, who sells when a test says so."""

    def __init__(self, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
        self.clock = Clock()
        self.exchange = Exchange(private_key=exchange_key, clock=self.clock)
        self.line = Line(self.exchange)
        self.key = alice_key
        self.tasks: list[asyncio.Task[Any]] = []
        self.sold = 0

    def client(self, **options: Any) -> cp.Client:
        client = trader(self.line, self.key, backoff=quick(), **options)
        self.exchange.register("bob", self.key.public_key, RICH)
        return client

    def sell(self, amount: str) -> None:
        """Bob sells to whoever bids 100 or more."""
        self.sold += 1
        self.exchange.venue.submit("bob", self.sold, encode(PlaceSellIoCOrder(PAIR, amount, 100)))

    def history(self) -> list[Any]:
        record = self.exchange.venue.client("alice")
        assert record is not None
        return [decode(each.payload) for each in record.history]

    def do(self, what: str, client: cp.Client, order: cp.Order) -> None:
        link = self.exchange.links.by_client.get("alice")
        if what == "fill a part":
            self.sell("0.3")
        elif what == "fill it":
            self.sell("1")
        elif what == "cancel":
            self.tasks.append(asyncio.create_task(outcome(client.cancel(order))))
        elif what == "cancel all":
            self.tasks.append(asyncio.create_task(outcome(client.cancel_all())))
        elif what == "expire":
            self.clock.advance(61)
            self.exchange.expire_orders()
        elif what == "cut":
            self.line.cut()
        elif what == "restart":
            self.exchange.disconnect("alice", 1012)
        elif what == "throttle" and link is not None:
            link.outbound.throttle(300, 0, 0)


HAPPENINGS = ("fill a part", "fill it", "cancel", "cancel all", "expire", "cut", "restart", "throttle")


async def outcome(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except cp.CryptoprotoError as error:
        return error


def judge(floor: Floor, order: cp.Order, result: Any, *, pipelined: bool, amount: str | None = None) -> None:
    """Compare what replace() said with what the exchange knows."""
    old_id = order.order_id
    events = floor.history()
    placed_at = [
        n for n, each in enumerate(events) if isinstance(each, cp.BuyOrderPlaced) and each.client_order_id == NEW
    ]
    cancelled_at = [
        n for n, each in enumerate(events) if isinstance(each, cp.BuyOrderCancelled) and each.order_id == old_id
    ]
    filled = [each for each in events if isinstance(each, cp.OwnTrade) and each.order_id == old_id]
    assert len(placed_at) <= 1
    if placed_at and not pipelined:
        assert cancelled_at, "both were open"
        assert cancelled_at[0] < placed_at[0], "both were open"
        left = 1 - sum((each.amount for each in filled), Decimal(0))
        assert events[placed_at[0]].initial_amount == (left if amount is None else Decimal(amount))
    if isinstance(result, cp.Order):
        assert placed_at
        assert (result.client_order_id, result.replaces, order.replaced_by) == (NEW, OLD, NEW)
        assert result.acknowledged_ns is not None
        assert cancelled_at or (pipelined and order.status is cp.OrderStatus.FILLED)
    elif isinstance(result, cp.ReplaceIncomplete):
        assert result.order is order
        assert result.__cause__ is not None
        assert cancelled_at
        assert isinstance(result.__cause__, cp.OutcomeUnknown) or not placed_at
        assert (result.replacement is None) == (order.replaced_by is None)
    elif isinstance(result, cp.OrderNotOpen):
        assert result.order is order
        assert not placed_at
        assert order.is_closed
        assert isinstance(result, cp.OrderFilled) == (order.status is cp.OrderStatus.FILLED)
    elif isinstance(result, cp.OutcomeUnknown):
        assert pipelined or not placed_at
    else:
        assert isinstance(result, cp.RequestNotSent | cp.OrderRejected), result
        assert not placed_at
    there = {row.order_id for book in floor.exchange.open_orders("alice").order_books.values() for row in book.buy}
    if not pipelined:
        assert len(there) <= 1


async def run(floor: Floor, plan: dict[int, list[str]], options: dict[str, Any], **terms: Any) -> tuple[int, Any]:
    """Replace an order while *plan* happens, at frames with these numbers; how many frames it took, and its outcome."""
    asyncio.get_running_loop().set_debug(False)  # keeping the stack of every callback takes most of the time
    async with floor.client(**options) as client:
        order = await client.place(PAIR, "buy", amount=1, price=100, client_order_id=OLD, ttl=60)
        first = floor.line.frames

        def on_frame(_to: str) -> None:
            for what in plan.pop(floor.line.frames - first, ()):
                floor.do(what, client, order)

        floor.line.on_frame = on_frame
        result = await outcome(client.replace(order, price=101, client_order_id=NEW, **terms))
        frames = floor.line.frames - first
        floor.line.on_frame = None
        await asyncio.gather(*floor.tasks)
        await until_state(client, cp.State.LIVE)
        await client.open_orders()
        judge(floor, order, result, pipelined=bool(terms.get("pipelined")), amount=terms.get("amount"))
        assert all(each.status is not cp.OrderStatus.UNKNOWN for each in client.orders)
    return frames, result


@pytest.mark.parametrize("resend", ["never", "once"])
@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("amount", [None, "0.5"])
def test_whatever_happens_at_whichever_frame(
    resend: str, pipelined: bool, amount: str | None, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    """Each happening at each frame: before the cancel arrives, before its answer does, and so on."""
    outcomes: Counter[str] = Counter()

    @virtual
    async def everything() -> None:
        frames, _ = await run(Floor(exchange_key, alice_key), {}, {}, pipelined=pipelined, amount=amount)
        assert frames >= 6
        for what, frame in itertools.product(HAPPENINGS, range(1, frames + 1)):
            floor = Floor(exchange_key, alice_key)
            _, result = await run(
                floor, {frame: [what]}, {"resend": resend}, pipelined=pipelined, amount=amount, timeout=5
            )
            outcomes[type(result).__name__] += 1

    everything()
    # It proves nothing unless everything has happened.
    assert outcomes["Order"] > 10
    if not pipelined:
        assert outcomes.keys() >= {"Order", "OrderFilled", "ReplaceIncomplete"}


@pytest.mark.parametrize("first", HAPPENINGS)
def test_whatever_happens_twice(first: str, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    """Each pair of happenings, at each pair of frames; deadlines that end in between."""

    @virtual
    async def everything() -> None:
        for then, one, gap in itertools.product(HAPPENINGS, range(1, 7), (0, 1, 2, 5)):
            plan = {one: [first, then]} if not gap else {one: [first], one + gap: [then]}
            number = one + gap + len(then)
            await run(
                Floor(exchange_key, alice_key),
                plan,
                {"resend": ("never", "once")[number % 2], "order_rate": (None, 1.0)[number // 2 % 2]},
                timeout=(0.05, 0.5, 20.0)[number % 3],
            )

    everything()


# One by one


@pytest.fixture
def floor(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> Floor:
    return Floor(exchange_key, alice_key)


@virtual
async def test_the_new_order(floor: Floor) -> None:
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100, ttl=600)
        floor.sell("0.25")
        new = await client.replace(order, price="99")
        assert (new.side, new.trade_pair, new.time_in_force) == (cp.Side.BUY, PAIR, cp.TimeInForce.GTC)
        assert (new.price, new.amount, new.remaining, new.ttl) == (Decimal(99), Decimal("0.75"), Decimal("0.75"), 600)
        assert (order.status, order.filled) == (cp.OrderStatus.CANCELLED, Decimal("0.25"))
        assert (order.replaces, order.replaced_by) == (None, new.client_order_id)
        assert (new.replaces, new.replaced_by) == (order.client_order_id, None)
        again = await client.replace(new, amount="0.5", ttl=0, client_order_id=7)
        assert (again.price, again.amount, again.ttl, again.client_order_id) == (Decimal(99), Decimal("0.5"), 0, 7)
        assert await client.open_orders() == [again]


@virtual
async def test_an_order_of_an_earlier_process(floor: Floor) -> None:
    async with floor.client() as client:
        await client.place(PAIR, "buy", amount=1, price=100, client_order_id=7)
        floor.sell("0.25")
    async with floor.client() as client:
        order = client.orders.by_client_order_id(7)
        assert order is not None
        new = await client.replace(order, price="99")
        assert (new.amount, new.price) == (Decimal("0.75"), Decimal(99))


@virtual
async def test_an_order_whose_terms_are_not_known_yet(script: Script, alice_key: cp.PrivateKey) -> None:
    """It was opened before the position that the client resumes from; the list of open orders has its terms."""
    client = client_of(script, alice_key, resume_from=5)
    starting = asyncio.create_task(client.start())
    await until(lambda: bool(script.peers))
    peer = script.peer
    await peer.until(lambda: len(peer.requests) == 1)
    row = b'"order_id":1,"client_order_id":7,"amount":"0.5"'
    peer.event(6, b'{"@type":"BuyOrderAmountChanged",%b,"trade_pair":"BTC_USD","fee":"0","time":[1,2]}' % row)
    await until(lambda: client.orders.get(1) is not None)
    order = client.orders.get(1)
    assert order is not None
    assert not order.terms_known
    with pytest.raises(cp.RequestNotSent):
        await client.replace(order, price="99", wait=False)
    replacing = asyncio.create_task(client.replace(order, price="99", client_order_id=8))
    book = b'{"buy":[{%b,"price":"100"}],"sell":[]}' % row
    peer.reply(peer.requests[0][0], b'{"@type":"UserOrdersResponse","order_books":{"BTC_USD":%b}}' % book)
    await peer.until(lambda: len(peer.requests) == 2)
    peer.reply(peer.requests[1][0])
    await starting
    await peer.until(lambda: len(peer.messages) == 1)
    peer.event(7, cancelled(7, 1))
    await peer.until(lambda: len(peer.messages) == 2)
    assert (peer.messages[1][1]["amount"], peer.messages[1][1]["price"]) == ("0.5", "99")
    peer.event(8, placed(8, 2))
    assert (await replacing).order_id == 2
    await client.close()


@virtual
async def test_what_can_never_be_valid_leaves_the_old_order_open(floor: Floor) -> None:
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100, client_order_id=7)
        stranger = cp.Order(client_order_id=8, trade_pair=PAIR, side="buy", amount=1, price=1)
        stranger.order_id = order.order_id
        wrong: list[tuple[Any, dict[str, Any], str]] = [
            (7, {"price": 1}, "must be an Order"),
            (order, {}, "needs a new price, amount or ttl"),
            (order, {"price": "0.000000001"}, "decimals"),
            (order, {"price": -1}, "greater than zero"),
            (order, {"amount": 0.5}, "float"),
            (order, {"ttl": -1}, "ttl"),
            (order, {"price": 1, "client_order_id": "8"}, "client_order_id"),
            (stranger, {"price": 1}, "not an order of this client"),
        ]
        sent = floor.line.frames
        for pipelined in (False, True):
            for what, terms, words in wrong:
                with pytest.raises(cp.OrderInvalid, match=words) as caught:
                    await client.replace(what, pipelined=pipelined, **terms)
                assert caught.value.sent is False
            with pytest.raises(cp.DuplicateClientOrderId):
                await client.replace(order, price=1, client_order_id=7, pipelined=pipelined)
        assert floor.line.frames == sent
        assert client.orders.open == [order]
        assert order.replaced_by is None


@virtual
async def test_an_order_that_has_ended(floor: Floor) -> None:
    async with floor.client() as client:
        filled, cancelled_, never = [await client.place(PAIR, "buy", amount=1, price=100) for _ in range(3)]
        floor.sell("1")
        await filled.wait_closed()
        await client.cancel(cancelled_)
        sent = client.metrics().counters["cancels_sent"]
        with pytest.raises(cp.OrderFilled, match="nothing was placed") as caught:
            await client.replace(filled, price=99)
        assert caught.value.order is filled
        with pytest.raises(cp.OrderNotOpen, match="not open any more") as not_open:
            await client.replace(cancelled_, price=99)
        assert not_open.value.order is cancelled_
        assert not isinstance(not_open.value, cp.OrderFilled)
        assert client.metrics().counters["cancels_sent"] == sent
        never = cp.Order(client_order_id=8, trade_pair=PAIR, side="buy", amount=1, price=1)
        with pytest.raises(cp.OrderRejected, match="no order id"):
            await client.replace(never, price=99)


@virtual
async def test_cancelled_by_another_call_first(floor: Floor) -> None:
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        cancelling = asyncio.create_task(client.cancel(order))
        await asyncio.sleep(0)
        with pytest.raises(cp.OrderNotOpen):
            await client.replace(order, price=99)
        assert await cancelling
        assert await client.open_orders() == []


@virtual
async def test_one_replace_at_a_time(floor: Floor) -> None:
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        replacing = asyncio.create_task(client.replace(order, price=99, pipelined=True))
        await asyncio.sleep(0)
        with pytest.raises(cp.OrderInvalid, match="is being replaced already"):
            await client.replace(order, price=98)
        new = await replacing
        assert await client.open_orders() == [new]


@virtual
async def test_nothing_is_placed_after_cancel_all(floor: Floor) -> None:
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        replacing = asyncio.create_task(outcome(client.replace(order, price=99)))
        await asyncio.sleep(0)
        await client.cancel_all()
        result = await replacing
        assert isinstance(result, cp.ReplaceIncomplete)
        assert "cancel_all() was called" in str(result)
        assert (result.order, result.replacement, result.sent) == (order, None, False)
        assert await client.open_orders() == []


@virtual
@pytest.mark.parametrize("pipelined", [False, True])
async def test_the_new_order_is_refused(floor: Floor, pipelined: bool) -> None:
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        with pytest.raises(cp.ReplaceIncomplete, match="is cancelled, but not replaced") as caught:
            await client.replace(order, price=10**8, pipelined=pipelined)
        error = caught.value
        assert isinstance(error.__cause__, cp.InsufficientFundsError)
        assert (error.order, error.order.status) == (order, cp.OrderStatus.CANCELLED)
        assert error.replacement.status is cp.OrderStatus.REJECTED
        assert order.replaced_by == error.replacement.client_order_id


@virtual
async def test_one_deadline_for_both(script: Script, alice_key: cp.PrivateKey) -> None:
    """The cancel is answered by the probe's time, after the deadline: the new order is not sent any more."""
    patient(script)
    async with client_of(script, alice_key) as client:
        peer, order = await an_order(script, client)
        peer.auto_reply = False
        replacing = asyncio.create_task(outcome(client.replace(order, price=2, timeout=3)))
        await peer.until(lambda: len(peer.requests) > 2)
        peer.event(2, cancelled(7))
        peer.reply(peer.requests[-1][0])
        result = await replacing
        assert isinstance(result, cp.ReplaceIncomplete)
        assert isinstance(result.__cause__, cp.RequestNotSent)
        assert "deadline" in str(result)
        assert len(peer.messages) == 2


@virtual
async def test_what_is_left_is_too_little_for_an_order(script: Script, alice_key: cp.PrivateKey) -> None:
    """It was checked with more. The old order is cancelled, so the error is not that nothing was sent."""
    patient(script)
    async with client_of(script, alice_key) as client:
        peer, order = await an_order(script, client)
        replacing = asyncio.create_task(outcome(client.replace(order, price=2)))
        await peer.until(lambda: len(peer.messages) == 2)
        peer.event(2, b'{"@type":"OwnTrade","order_id":1,"client_order_id":7,"trade_pair":"BTC_USD","amount":"1",'
                   b'"price":"1","maker":true,"maker_buy":true,"time":[1,2]}')  # fmt: skip
        peer.event(3, cancelled(7))
        result = await replacing
        assert isinstance(result, cp.ReplaceIncomplete)
        assert isinstance(result.__cause__, cp.OrderInvalid)
        assert (result.replacement, order.replaced_by) == (None, None)
        assert len(peer.messages) == 2


@virtual
async def test_what_is_left_is_too_little_for_the_rules_of_its_pair(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    rules = cp.Instrument(PAIR, tick_size="0.01", lot_size="0.0001", min_amount="0.001")
    async with client_of(script, alice_key, instruments=[rules]) as client:
        peer, order = await an_order(script, client)
        replacing = asyncio.create_task(outcome(client.replace(order, price=2)))
        await peer.until(lambda: len(peer.messages) == 2)
        peer.event(2, b'{"@type":"OwnTrade","order_id":1,"client_order_id":7,"trade_pair":"BTC_USD","amount":"0.9995",'
                   b'"price":"1","maker":true,"maker_buy":true,"time":[1,2]}')  # fmt: skip
        peer.event(3, cancelled(7))
        result = await replacing
        assert isinstance(result, cp.ReplaceIncomplete)
        assert isinstance(result.__cause__, cp.OrderInvalid)
        assert len(peer.messages) == 2


async def an_order(script: Script, client: cp.Client) -> tuple[Any, cp.Order]:
    peer = script.peer
    placing = asyncio.create_task(client.place(PAIR, "buy", amount=1, price=1, client_order_id=7))
    await peer.until(lambda: len(peer.messages) == 1)
    peer.event(1, placed(7))
    return peer, await placing


@virtual
@pytest.mark.parametrize("pipelined", [False, True])
async def test_no_answer_to_the_cancel(script: Script, alice_key: cp.PrivateKey, pipelined: bool) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        peer, order = await an_order(script, client)
        peer.auto_reply = False
        result = await outcome(client.replace(order, price=2, timeout=3, pipelined=pipelined))
        assert isinstance(result, cp.OutcomeUnknown)
        assert len(peer.messages) == (3 if pipelined else 2)
        assert (order.replaced_by is None) is not pipelined


@virtual
async def test_no_answer_to_the_new_order(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        peer, order = await an_order(script, client)
        replacing = asyncio.create_task(outcome(client.replace(order, price=2, timeout=3)))
        await peer.until(lambda: len(peer.messages) == 2)
        peer.auto_reply = False
        peer.event(2, cancelled(7))
        result = await replacing
        assert isinstance(result, cp.ReplaceIncomplete)
        assert "not known yet whether it was placed" in str(result)
        assert isinstance(result.__cause__, cp.OutcomeUnknown)
        assert result.sent
        assert result.replacement is client.orders.by_client_order_id(order.replaced_by or 0)


# At once


@virtual
async def test_round_trips(floor: Floor) -> None:
    """As often as a message follows an answer: twice, or once for the pipelined form."""
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        for pipelined, round_trips in ((False, 2), (True, 1)):
            directions: list[str] = []
            floor.line.on_frame = directions.append
            order = await client.replace(order, price=101, pipelined=pipelined)
            floor.line.on_frame = None
            assert [to for to, _ in itertools.groupby(directions)] == ["exchange", "client"] * round_trips
            assert directions.count("exchange") == 2


@virtual
async def test_both_take_two_turns_of_the_rate_limiter(floor: Floor) -> None:
    async with floor.client(order_rate=1) as client:
        loop = asyncio.get_running_loop()
        order = await client.place(PAIR, "buy", amount=1, price=100)
        for pipelined in (False, True):
            started = loop.time()
            order = await client.replace(order, price=101, pipelined=pipelined)
            assert loop.time() - started == pytest.approx(2)
        assert len(await client.open_orders()) == 1


@virtual
async def test_the_risk_of_sending_both_at_once(floor: Floor) -> None:
    """The old order is filled first, and the new one is placed nevertheless: both are filled."""
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        replacing = asyncio.create_task(client.replace(order, price=101, pipelined=True))
        floor.sell("1")
        new = await replacing
        assert order.status is cp.OrderStatus.FILLED
        assert new.is_open
        floor.sell("1")
        await new.wait_filled()


@virtual
async def test_at_once_when_nothing_takes_effect(floor: Floor) -> None:
    async with floor.client() as client:
        order = await client.place(PAIR, "buy", amount=1, price=100)
        replacing = asyncio.create_task(outcome(client.replace(order, price=10**8, pipelined=True)))
        floor.sell("1")
        result = await replacing
        assert isinstance(result, cp.OrderFilled)
        assert isinstance(result.__cause__, cp.InsufficientFundsError)
        floor.line.is_down = True
        order = await client.place(PAIR, "buy", amount=1, price=100)
        floor.line.cut()
        result = await outcome(client.replace(order, price=101, pipelined=True, wait=False))
        assert isinstance(result, cp.RequestNotSent)
        assert order.is_open
        assert order.replaced_by is None
        floor.line.is_down = False


@virtual
async def test_placed_at_once_although_the_cancel_has_no_answer(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        peer, order = await an_order(script, client)
        replacing = asyncio.create_task(
            outcome(client.replace(order, price=2, timeout=3, pipelined=True, client_order_id=8))
        )
        await peer.until(lambda: len(peer.messages) == 3)
        assert [message["@type"] for _, message in peer.messages[1:]] == ["CancelOrder", "PlaceBuyLimitOrder"]
        peer.event(2, placed(8, 2))
        result = await replacing
        assert isinstance(result, cp.ReplaceIncomplete)
        assert "may still be open" in str(result)
        assert result.replacement.is_open
        assert isinstance(result.__cause__, cp.OutcomeUnknown)


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("late", [False, True])
def test_cancelled_at_every_await(
    pipelined: bool, late: bool, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    """Nothing is sent after that, and what was sent is reported."""

    async def cancelled_at(step: int) -> bool:
        floor = Floor(exchange_key, alice_key)
        async with floor.client() as client:
            order = await client.place(PAIR, "buy", amount=1, price=100)
            replacing = CancelAt(client.replace(order, price=101, pipelined=pipelined), step, late=late)
            try:
                await asyncio.create_task(replacing.run())
            except asyncio.CancelledError:
                sent = client.metrics().counters["orders_sent"]
                await client.open_orders()
                assert client.metrics().counters["orders_sent"] == sent
            there = await client.open_orders()
            assert len(there) <= 1 or pipelined
            assert all(each.status is not cp.OrderStatus.PENDING for each in client.orders)
            assert client.metrics().gauges["unanswered_messages"] == 0
        return replacing.reached

    @virtual
    async def everything() -> None:
        step = 1
        while await cancelled_at(step):
            step += 1
        assert step > 1

    everything()
