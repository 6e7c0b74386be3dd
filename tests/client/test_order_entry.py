"""What became of orders: the truth, wherever the link is cut."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.states import State
from cryptoproto.exchange import Exchange
from cryptoproto.messages import InsufficientFunds, decode
from cryptoproto.transport import Closed
from tests.support.lines import Line, client_of, patient, trader, until, until_state
from tests.support.peer import Peer, Script, placed, settle
from tests.support.stepping import CancelAt
from tests.support.stores import FullDisk
from tests.support.virtual_time import virtual

BUY, SELL = cp.Side.BUY, cp.Side.SELL
PAIR = "BTC_USD"


@pytest.fixture
def exchange(exchange_key: cp.PrivateKey) -> Exchange:
    return Exchange(private_key=exchange_key)


def quick() -> cp.Backoff:
    return cp.Backoff(initial=0.1, cap=1.0, random=lambda: 0.5)


def history(exchange: Exchange) -> list[cp.Message]:
    record = exchange.venue.client("alice")
    assert record is not None
    return [msg for each in record.history if not isinstance(msg := decode(each.payload), cp.Unknown)]


def accepted(exchange: Exchange) -> list[int | None]:
    """The client order ids that the exchange has accepted, in order."""
    return [msg.client_order_id for msg in history(exchange) if isinstance(msg, cp.BuyOrderPlaced | cp.SellOrderPlaced)]


def place(client: cp.Client, number: int, **more: Any) -> Coroutine[Any, Any, cp.Order]:
    arguments: dict[str, Any] = {"amount": 1, "price": 100, "client_order_id": number}
    return client.place(PAIR, BUY, **(arguments | more))


async def outcome(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except cp.CryptoprotoError as error:
        return error


def judge(exchange: Exchange, number: int, result: Any) -> None:
    """*result* is what place() of client order id *number* said."""
    times = accepted(exchange).count(number)
    if isinstance(result, cp.Order):
        assert times == 1, (number, result)
    else:
        assert isinstance(result, cp.CryptoprotoError), result
        assert not isinstance(result, cp.OutcomeUnknown), (number, result)
        assert times == 0, (number, result)
        if isinstance(result, cp.RequestNotSent):
            assert result.sent is False


# Cut at every frame


async def session(client: cp.Client, results: dict[int, Any]) -> list[Any]:
    """Orders one by one and at once, refusals of every kind, cancels; what they said."""
    one = results[1] = await outcome(place(client, 1))
    results[2], results[3], results[4] = await asyncio.gather(
        outcome(place(client, 2)),
        outcome(place(client, 3, price=10**9)),  # not enough money
        outcome(place(client, 4, price=101)),
    )
    cancelled = await outcome(client.cancel(one)) if isinstance(one, cp.Order) else None
    again = await outcome(client.cancel(one)) if isinstance(one, cp.Order) else None
    results[5] = await outcome(place(client, 5, price=10**9))
    used = await outcome(place(client, 2, amount=2)) if not isinstance(results[2], cp.Order) else None
    gone = await outcome(client.cancel_all())
    results[6] = await outcome(place(client, 6))
    return [cancelled, again, used, gone]


def check_session(exchange: Exchange, client: cp.Client, results: dict[int, Any], rest: list[Any]) -> None:
    for number in (1, 3, 4, 5, 6):
        judge(exchange, number, results[number])
    for number in (3, 5):
        assert isinstance(results[number], cp.InsufficientFundsError | cp.RequestNotSent), results
    cancelled, again, used, gone = rest
    if used is None:
        judge(exchange, 2, results[2])
    events = history(exchange)
    ended = {msg.order_id for msg in events if isinstance(msg, cp.BuyOrderCancelled)}
    if isinstance(results[1], cp.Order):
        assert isinstance(cancelled, bool | cp.RequestNotSent)
        if cancelled is True:
            assert results[1].order_id in ended
        if cancelled is True and isinstance(again, bool):
            assert again is False
    assert gone is None or isinstance(gone, cp.RequestNotSent)
    there = {row.order_id for book in exchange.open_orders("alice").order_books.values() for row in book.buy}
    assert {order.order_id for order in client.orders.open} == there
    assert not client._order_entry.unanswered
    assert not client._store.outbox()
    for order in client.orders:
        assert order.status not in (cp.OrderStatus.PENDING, cp.OrderStatus.UNKNOWN)


async def run_session(exchange: Exchange, key: cp.PrivateKey, cuts: set[int], resend: Any) -> int:
    asyncio.get_running_loop().set_debug(False)  # keeping the stack of every callback takes most of the time
    line = Line(exchange)
    line.cut_at = cuts
    client = trader(line, key, backoff=quick(), resend=resend)
    results: dict[int, Any] = {}
    async with client:
        rest = await session(client, results)
        line.cut_at = set()
        await until_state(client, State.LIVE)
        await client.open_orders()
        check_session(exchange, client, results, rest)
        if resend == "once" and len(cuts) == 1:
            assert not [each for each in results.values() if isinstance(each, cp.RequestNotSent)]
    return line.frames


@pytest.mark.parametrize("resend", ["never", "once"])
def test_the_outcome_is_right_wherever_the_link_is_cut(
    resend: Any, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    """Each frame of a session in turn: before it left, after it was received with all answers lost, in a replay."""

    @virtual
    async def run() -> None:
        frames = await run_session(Exchange(private_key=exchange_key), alice_key, set(), resend)
        assert frames > 30
        for cut in range(1, frames + 1):
            await run_session(Exchange(private_key=exchange_key), alice_key, {cut}, resend)

    run()


def test_the_outcome_is_right_if_the_next_link_is_cut_too(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    """In the handshake, in the replay and in the resume that follow."""

    @virtual
    async def run() -> None:
        for first in (9, 13, 17, 21, 25):
            for second in range(first + 1, first + 14):
                cuts = {first, second, second + 3}
                await run_session(Exchange(private_key=exchange_key), alice_key, cuts, "once")

    run()


@pytest.mark.parametrize("refusal", ["duplicate", "disabled", "invalid"])
@pytest.mark.parametrize("lost", [False, True])
def test_error_frames(refusal: str, lost: bool, exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    """Followed by a disconnect, and lost with it or not; the order after it is not received."""

    @virtual
    async def run() -> None:
        line = Line(exchange)
        async with trader(line, alice_key, backoff=quick()) as client:
            await place(client, 1)
            if refusal == "disabled":
                exchange.disable_pairs([PAIR])
            number = 2
            more: dict[str, Any] = {"ttl": 10**12} if refusal == "invalid" else {}
            if refusal == "duplicate":
                client.orders._by_client_order_id.clear()  # as in another process, which does not know it
                number = 1
            if lost:
                frames = line.frames
                line.cut_at = {frames + 3}  # the two messages, and then the error frame
            refused, behind = await asyncio.gather(
                outcome(place(client, number, **more)), outcome(place(client, 3, wait=False))
            )
            kinds = {
                "duplicate": cp.DuplicateClientOrderId,
                "disabled": cp.TradesDisabled,
                "invalid": cp.InvalidPayload,
            }
            assert isinstance(refused, cp.OrderRejected if lost else kinds[refusal]), refused
            assert isinstance(behind, cp.RequestNotSent), behind
            if refusal == "disabled":
                exchange.enable_pairs([PAIR])
            assert (await place(client, 4)).is_open
            assert accepted(exchange) == [1, 4]

    run()


@virtual
async def test_the_reason_of_an_error_frame_outlives_another_link(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key, backoff=quick()) as client:
        placing = asyncio.create_task(place(client, 1))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.last_sequence = 1
        script.greeting.insert(0, lambda peer: peer.lose() if len(script.peers) == 2 else None)
        script.peer.error(3, "closed today")
        with pytest.raises(cp.TradesDisabled, match="closed today"):
            await placing
        assert len(script.peers) == 3


@virtual
async def test_an_error_frame_whose_message_was_settled_is_nobody_elses(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    """A request that the exchange cannot read ends the link; the order before it is accepted all the same."""
    patient(script)
    async with client_of(script, alice_key, backoff=quick()) as client:
        placing = asyncio.create_task(place(client, 1))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.last_sequence = 1
        script.greeting.insert(0, lambda peer: peer.event(4, placed(1)))
        script.peer.error(2, "a bad request")
        assert (await placing).is_open


@pytest.mark.parametrize("resend", ["never", "once"])
def test_an_older_link_that_brings_more_during_the_handshake(
    resend: Any, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    """What the handshake said of the last sequence no longer holds then, and the exchange ends that connection."""

    @virtual
    async def run() -> None:
        line = Line(exchange)
        async with trader(line, alice_key, backoff=quick(), resend=resend) as client:
            there, here = line.links
            there.pause_reading()
            placing = asyncio.create_task(outcome(place(client, 1)))
            await until(lambda: client._order_entry.unanswered > 0)
            here._closed = True  # at this end alone: the order is still on its way
            here._deliver(Closed(None, "the connection was lost"))

            def on_frame(to: str) -> None:
                if to == "client":  # the exchange's hello
                    line.on_frame = None
                    there.resume_reading()

            line.on_frame = on_frame
            result = await placing
            assert accepted(exchange) == [1]
            assert isinstance(result, cp.Order), result
            assert line.attempts == 3

    run()


# Past the deadline


@virtual
async def test_unknown_only_while_disconnected_and_reported_later(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    line = Line(exchange)
    loop = asyncio.get_running_loop()
    async with trader(line, alice_key, backoff=quick()) as client:
        reports = client.reports()
        received, not_received = (asyncio.create_task(outcome(place(client, n, timeout=5))) for n in (1, 2))

        def cut(to: str) -> None:
            if to == "exchange":
                line.frames += 1000
                line.on_frame = None
                line.cut_at = {line.frames + 1}
                line.is_down = True

        line.on_frame = cut
        before = loop.time()
        results = [await received, await not_received]
        assert loop.time() - before == pytest.approx(5, abs=0.1)
        for result, number in zip(results, (1, 2), strict=True):
            assert isinstance(result, cp.OutcomeUnknown)
            assert result.sent is True
            order = client.orders.by_client_order_id(number)
            assert order is not None
            assert order.status is cp.OrderStatus.UNKNOWN
        assert client.metrics().counters["outcomes_unknown"] == 2
        line.is_down = False
        await until_state(client, State.LIVE)
        told = {report.client_order_id: report.error for report in await read(reports, cp.OutcomeReport, 2)}
        assert told[1] is None
        assert isinstance(told[2], cp.RequestNotSent)
        assert accepted(exchange) == [1]
        statuses = [order.status for n in (1, 2) if (order := client.orders.by_client_order_id(n)) is not None]
        assert statuses == [cp.OrderStatus.OPEN, cp.OrderStatus.NOT_SENT]


async def read(reports: Any, kind: type[Any], count: int) -> list[Any]:
    found: list[Any] = []
    async with asyncio.timeout(1000):
        while len(found) < count:
            report = await anext(reports)
            if isinstance(report, kind):
                found.append(report)
    return found


@virtual
async def test_an_exchange_that_answers_nothing_is_left(script: Script, alice_key: cp.PrivateKey) -> None:
    """It answers pings, so the link seems well. The call ends after one probe, and the next link brings the truth."""
    patient(script)
    async with client_of(script, alice_key, backoff=quick()) as client:
        reports = client.reports()
        placing = asyncio.create_task(outcome(place(client, 1, timeout=5)))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.peer.auto_reply = False
        first = script.peer
        assert isinstance(await placing, cp.OutcomeUnknown)
        (report,) = await read(reports, cp.OutcomeReport, 1)
        assert (report.client_order_id, type(report.error)) == (1, cp.RequestNotSent)
        assert script.peer is not first


@virtual
async def test_resend_is_bounded_by_its_deadline_and_by_once(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    line = Line(exchange)
    async with trader(line, alice_key, backoff=quick(), resend="once") as client:
        line.cut_at = {line.frames + 1}
        assert (await place(client, 1)).is_open
        assert client.metrics().counters["resent"] == 1
        line.cut_at = {line.frames + 1}
        assert isinstance(await outcome(place(client, 2, resend="never")), cp.RequestNotSent)

        def each_order(to: str) -> None:
            if to == "exchange" and client.state.state is State.LIVE:
                line.cut_at = {line.frames}

        line.on_frame = each_order
        assert isinstance(await outcome(place(client, 3)), cp.RequestNotSent)
        line.on_frame = None
        await until_state(client, State.LIVE)
        line.cut_at = {line.frames + 1}
        line.is_down = True
        late = await outcome(place(client, 4, timeout=2))
        assert isinstance(late, cp.OutcomeUnknown)
        line.is_down = False
        await until_state(client, State.LIVE)
        assert accepted(exchange) == [1]


# Over a restart of the process


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_next_process_ends_what_this_one_left(
    kind: str, tmp_path: Path, exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    """Funds that did not suffice are those of the order that asked, though no event says so."""

    @virtual
    async def run() -> None:
        memory = cp.MemoryStore()

        def store() -> Any:
            return memory if kind == "memory" else cp.SqliteStore(tmp_path / "alice.db")

        line = Line(exchange)
        client = trader(line, alice_key, store=store())
        await client.start()
        # Two that are answered, of which the position is not moved past, as nobody takes the events.
        client.events()
        refused = await outcome(place(client, 1, price=10**9))
        assert isinstance(refused, cp.InsufficientFundsError)
        assert refused.currency == "USD"
        assert refused.order_id is not None
        assert client.orders.get(refused.order_id) is client.orders.by_client_order_id(1)
        await place(client, 2)
        # Four that are received while the answers are lost, and one that is not.
        frames = line.frames
        line.cut_at = {frames + 6}
        calls = [
            asyncio.create_task(outcome(place(client, n, price=10**9 if n in (3, 5) else 100))) for n in range(3, 8)
        ]

        def lose(to: str) -> None:
            if to == "client" or line.frames == frames + 5:
                line.cut_at = {line.frames}
                line.is_down = True

        line.on_frame = lose
        await until(lambda: line.is_down)
        await settle()
        await client.close(0)
        for result in await asyncio.gather(*calls):
            assert isinstance(result, cp.OutcomeUnknown)

        line.is_down, line.on_frame, line.cut_at = False, None, set()
        client = trader(line, alice_key, store=store())
        reports = client.reports()
        async with client:
            told = {report.client_order_id: report.error for report in await read(reports, cp.OutcomeReport, 5)}
            assert set(told) == {3, 4, 5, 6, 7}
            there = accepted(exchange)
            for number, error in told.items():
                if error is None:
                    assert number in there
                elif number in (3, 5):
                    assert isinstance(error, cp.InsufficientFundsError | cp.RequestNotSent)
                else:
                    assert isinstance(error, cp.RequestNotSent)
                    assert number not in there
            funds = sum(isinstance(msg, InsufficientFunds) for msg in history(exchange)) - 1
            assert funds == sum(isinstance(error, cp.InsufficientFundsError) for error in told.values())
            assert funds > 0
            assert {order.client_order_id for order in client.orders.open} == set(there)
            # What was not received is nothing that may be open, for limits and for `cancel_on_exit`.
            assert all(order.is_open for order in client.orders.unfinished)

    run()


# What comes in unusual order, and differences


@virtual
async def test_fills_before_the_acknowledgement(
    exchange: Exchange, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey
) -> None:
    line, other = Line(exchange), Line(exchange)
    async with trader(line, alice_key) as client, trader(other, bob_key, "bob") as bob:
        await bob.place(PAIR, SELL, amount="0.4", price=90)
        order = await place(client, 1)
        assert (order.status, str(order.filled), len(order.trades)) == (cp.OrderStatus.OPEN, "0.40000000", 1)
        await bob.place(PAIR, SELL, amount="0.6", price=90)
        await order.wait_closed(timeout=1)
        assert order.status is cp.OrderStatus.FILLED
        assert await client.cancel(order) is False
        whole = await client.place(PAIR, SELL, amount=1, price=100, time_in_force=cp.TimeInForce.FOK)
        assert whole.status is cp.OrderStatus.CANCELLED


@virtual
async def test_differences_are_reported_after_a_resume(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key, backoff=quick()) as client:
        reports = client.reports()
        placing = asyncio.create_task(place(client, 1))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.peer.event(4, placed(1))
        order = await placing
        script.last_sequence = 1
        script.greeting.clear()
        script.peer.lose()
        await until_state(client, State.RESUMING)
        await script.peer.until(lambda: bool(script.peer.requests))
        script.peer.reply(
            script.peer.requests[0][0],
            b'{"@type":"UserOrdersResponse","order_books":{"BTC_USD":{"buy":[{"order_id":77,"amount":"2","price":"3",'
            b'"client_order_id":null}],"sell":[]}}}',
        )
        await script.peer.until(lambda: len(script.peer.requests) == 2)
        script.peer.reply(
            script.peer.requests[1][0],
            b'{"@type":"UserBalanceResponse","account_id":1,"balances":{"USD":{"available":"5","on_hold":"6"}}}',
        )
        await until_state(client, State.LIVE)
        first, second = await read(reports, cp.OrderDifference, 2)
        assert (first.what, first.order.order_id) == ("not_known_here", 77)
        assert (second.what, second.order) == ("not_open_there", order)
        assert order.status is cp.OrderStatus.UNKNOWN
        assert str(client.known_balances["USD"].on_hold) == "6"


@virtual
async def test_a_balance_that_no_event_has_changed_is_reported_after_a_resume(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    replies = iter(("5", "7"))

    def answer(peer: Peer) -> None:
        async def both() -> None:
            await peer.until(lambda: bool(peer.requests))
            peer.reply(peer.requests[0][0], b'{"@type":"UserOrdersResponse","order_books":{}}')
            await peer.until(lambda: len(peer.requests) == 2)
            funds = b'{"USD":{"available":"%b","on_hold":"0"}}' % next(replies).encode()
            peer.reply(peer.requests[1][0], b'{"@type":"UserBalanceResponse","account_id":1,"balances":%b}' % funds)

        tasks.append(asyncio.create_task(both()))

    tasks: list[asyncio.Task[None]] = []
    script.greeting.append(answer)
    async with client_of(script, alice_key, backoff=quick()) as client:
        reports = client.reports()
        script.peer.lose()
        (difference,) = await read(reports, cp.BalanceDifference, 1)
        assert difference.currency == "USD"
        assert (difference.here.available, difference.there.available) == (5, 7)
    await asyncio.gather(*tasks)


def test_orders_from_before_the_position_are_no_difference(
    exchange: Exchange, alice_key: cp.PrivateKey, tmp_path: Path
) -> None:
    """A new process goes on behind them; what it learns of them from the exchange's list is no news."""

    @virtual
    async def run() -> None:
        line = Line(exchange)
        for number in (1, 2, 3):
            client = trader(line, alice_key, store=cp.SqliteStore(tmp_path / "alice.db"), backoff=quick())
            reports = client.reports()
            async with client:
                await place(client, number)
                assert len(await client.open_orders()) == number
                events = client.events()
                async with asyncio.timeout(100):
                    while (await anext(events)).transaction_id != client._account.position:
                        pass
                asyncio.get_running_loop().call_later(1, line.cut)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(5):
                        await anext(events)
            assert [report async for report in reports] == []

    run()


@virtual
async def test_an_answer_that_was_not_asked_for_is_unknown(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    """With live events alone nothing is replayed; what is not in the list of open orders may be anything."""
    line = Line(exchange)
    async with trader(line, alice_key, backoff=quick(), resume_from=-1) as client:
        frames = line.frames
        line.cut_at = {frames + 3}  # two orders, and the first event
        kinds = (cp.TimeInForce.GTC, cp.TimeInForce.IOC)
        calls = [outcome(place(client, n, time_in_force=kind)) for n, kind in enumerate(kinds, 1)]
        resting, gone = await asyncio.gather(*calls)
        assert accepted(exchange) == [1, 2]
        assert resting.is_open
        assert isinstance(gone, cp.OutcomeUnknown)
        assert not client._store.outbox()
        ended = client.orders.by_client_order_id(2)
        assert ended is not None
        assert ended.is_closed
        assert ended.status is cp.OrderStatus.UNKNOWN
        assert client.orders.unfinished == [resting]


# A caller that leaves


@pytest.mark.parametrize("late", [False, True])
def test_cancelled_at_every_await(late: bool, exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    @virtual
    async def run() -> None:
        fates = set()
        for step in range(1, 30):
            exchange = Exchange(private_key=exchange_key)
            line = Line(exchange)
            async with trader(line, alice_key, backoff=quick(), resend="once", order_rate=1.0) as client:
                await place(client, 1)  # takes the only turn
                line.cut_at = {line.frames + 1}
                reports = client.reports()
                stepping = CancelAt(place(client, 2), step, late=late)
                task = asyncio.create_task(stepping.run())
                try:
                    await task
                except asyncio.CancelledError:
                    told = await read(reports, cp.OutcomeReport, 1)
                    order = client.orders.by_client_order_id(2)
                    is_there = 2 in accepted(exchange)
                    assert (told[0].client_order_id, told[0].error is None) == (2, is_there)
                    fate = None if order is None else order.status  # what never left is not in the table
                    assert fate in ((cp.OrderStatus.OPEN,) if is_there else (cp.OrderStatus.NOT_SENT, None))
                    fates.add(fate)
                else:
                    assert not stepping.reached
                    break
                assert not client._store.outbox()
                assert client.metrics().gauges["unanswered_messages"] == 0
        else:
            raise AssertionError("there is no end of it")
        assert step > 3
        assert None in fates

    run()


# A store that fails


@virtual
async def test_a_full_disk(exchange: Exchange, alice_key: cp.PrivateKey, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing leaves that could not be remembered, and no outcome is forgotten that could not be written down."""
    line, store = Line(exchange), FullDisk()
    async with trader(line, alice_key, backoff=quick(), store=store) as client:
        store.is_full = True
        with pytest.raises(cp.StoreError) as caught:
            await place(client, 1)
        assert caught.value.sent is False
        assert list(client.orders) == [], "what never left is not in the table"
        assert client.state.state is State.LIVE
        store.is_full = False
        placing = asyncio.create_task(place(client, 2))

        def fill(to: str) -> None:
            store.is_full = True

        line.on_frame = fill
        await until(lambda: client.state.state is State.WAITING)
        assert not placing.done()
        await asyncio.sleep(3)
        line.on_frame = None
        store.is_full = False
        order = await placing
        assert order.is_open
        assert accepted(exchange) == [2]
        assert not store.outbox()


@virtual
async def test_a_message_that_cannot_be_sent(exchange: Exchange, alice_key: cp.PrivateKey, tmp_path: Path) -> None:
    store = cp.SqliteStore(tmp_path / "alice.db")
    async with trader(Line(exchange), alice_key, store=store) as client:
        with store.transaction(), pytest.raises(cp.ConfigurationError, match="cannot be sent while"):
            await place(client, 1)
        with pytest.raises(cp.ConfigurationError, match="float"):
            await place(client, 2, amount=0.5)
        await place(client, 3)
        with pytest.raises(cp.DuplicateClientOrderId):
            await place(client, 3)
        with pytest.raises(cp.OrderRejected, match="no order id"):
            await client.cancel(cp.Order(client_order_id=1, trade_pair=PAIR, side=BUY, amount=1, price=1))
        assert await client.cancel(10**6) is False
        assert accepted(exchange) == [3]
    with sqlite3.connect(tmp_path / "alice.db") as db:
        assert db.execute("SELECT count(*) FROM cryptoproto_outbox").fetchone() == (0,)
    db.close()
