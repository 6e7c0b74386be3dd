"""Order entry without an exchange, for what otherwise only happens at a rare moment."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

import cryptoproto as cp
from cryptoproto.client.account import Account
from cryptoproto.client.link import Link
from cryptoproto.client.metrics import Metrics
from cryptoproto.client.order_entry import OrderEntry
from cryptoproto.client.outcomes import Kind, Pending
from cryptoproto.client.ready_messages import ReadyMessages
from cryptoproto.client.reports import Reports
from cryptoproto.client.states import State, StateChange
from cryptoproto.client.store import OutboxEntry
from cryptoproto.client.submission import Submission
from cryptoproto.messages import OpenOrder, decode
from tests.support import orders
from tests.support.peer import placed, settle
from tests.support.stores import FullDisk
from tests.support.told import told
from tests.support.virtual_time import virtual


class Stub:
    """A connection that does what a test says."""

    def __init__(self) -> None:
        self.is_open = True
        self.next_sequence = 1
        self.last_sequence = 0
        self.received_position = 0
        self.open_orders = cp.UserOrdersResponse({})
        self.error: cp.CryptoprotoError | None = None
        self.refusal: cp.CryptoprotoError | None = None
        self.turns: Iterator[bool] = iter(())  # whether it is free, and then it is
        self.on_send: Callable[[], Awaitable[None]] | None = None
        self.on_request: Callable[[], None] = lambda: None
        self.given_up: list[cp.CryptoprotoError] = []

    def is_free_for(self, _: bytes) -> bool:
        if self.refusal is not None:
            raise self.refusal
        return next(self.turns, True)

    async def send_encoded(self, _: bytes) -> int:
        if self.on_send is not None:
            await self.on_send()
        return self.next_sequence

    async def request_at(self, _: Any, at: Callable[[Any], None], *, timeout: float | None = None) -> None:
        self.on_request()
        at(self.open_orders)

    def resume_events(self) -> None: ...

    def keep_signed(self, _: bytes, *, soon: bool) -> None: ...

    def sign_now(self, _: bytes) -> None: ...

    async def wait_signed(self, _: bytes) -> None: ...

    def release(self, _: bytes) -> None: ...

    def give_up(self, error: cp.CryptoprotoError) -> None:
        self.given_up.append(error)


class Desk:
    """Order entry with what stands around it, and a stub for the connection."""

    def __init__(self, store: cp.MemoryStore | None = None, order_rate: float | None = None) -> None:
        self.store = store or cp.MemoryStore()
        self.link, self.account, self.connection = Link(), Account(), Stub()
        connection: Any = self.connection
        self.link.attach(connection)
        self.link.enter(StateChange(State.LIVE, "everything is known"))
        self.reports = Reports(self.store)
        ready = ReadyMessages(self.account.orders, keep_cancels=0)
        self.entry = OrderEntry(self.link, self.account, self.store, self.reports, Metrics(), ready, order_rate)

    def submission(self, kind: Kind = Kind.CANCEL, timeout: float = 5.0) -> Submission:
        loop = asyncio.get_running_loop()
        number = 7 if kind is Kind.CANCEL else None
        answer: asyncio.Future[cp.CryptoprotoError | None] = loop.create_future()
        return Submission(Pending(kind=kind, order_id=number), b"{}", answer, deadline=loop.time() + timeout)

    def told(self, transaction_id: int, message: Any) -> None:
        events = [told(transaction_id, message)]
        self.account.apply(events)
        self.entry.settle(events)


@virtual
async def test_cancel_all_of_an_earlier_process_is_taken_up() -> None:
    desk = Desk()
    desk.store.put(OutboxEntry(kind="cancel_all", payload=b'{"@type":"CancelAllOrders"}', created_ns=1, sequence=1))
    desk.entry.restore()
    assert desk.entry.unanswered == 1


@virtual
async def test_a_send_that_outlasts_the_deadline_has_an_unknown_outcome() -> None:
    desk = Desk()
    desk.connection.on_send = lambda: asyncio.sleep(3600)
    desk.connection.on_request = desk.link.detach
    with pytest.raises(cp.OutcomeUnknown):
        await desk.entry.submit(desk.submission(), wait=True)


@virtual
async def test_a_connection_that_ends_while_it_sends_leaves_the_outcome_to_the_next() -> None:
    desk = Desk()

    async def lose() -> None:
        desk.connection.is_open = False
        raise cp.ConnectionClosed(None, "lost")

    desk.connection.on_send = lose
    with pytest.raises(cp.OutcomeUnknown):
        await desk.entry.submit(desk.submission(), wait=True)
    assert desk.entry.unanswered == 1


class Reserving(cp.MemoryStore):
    """A store that writes entries down before they are sent."""

    def __init__(self) -> None:
        super().__init__()
        self.reserved: list[int | None] = []

    async def reserve(self, entry: OutboxEntry) -> None:
        self.reserved.append(entry.sequence)

    async def connected(self, last_sequence: int) -> None: ...


@virtual
async def test_a_message_waits_for_another_turn_if_the_connection_is_not_free_once_it_is_written_down() -> None:
    store = Reserving()
    desk = Desk(store)
    desk.connection.turns = iter([True, True, False])  # before it is written down, and after

    async def answer() -> None:
        asyncio.get_running_loop().call_soon(desk.told, 1, cp.OrderNotFound(7))

    desk.connection.on_send = answer
    with pytest.raises(cp.OrderNotOpen):
        await desk.entry.submit(desk.submission(), wait=True)
    assert store.reserved == [1, 1]


@virtual
async def test_what_the_connection_cannot_carry_is_not_sent() -> None:
    for order_rate in (None, 10.0):
        desk = Desk(order_rate=order_rate)
        desk.connection.refusal = cp.ConfigurationError("too large")
        with pytest.raises(cp.ConfigurationError, match="too large") as caught:
            await desk.entry.submit(desk.submission(), wait=True)
        assert caught.value.sent is False


@virtual
async def test_a_cancel_that_cannot_be_remembered_is_not_sent() -> None:
    store = FullDisk()
    store.is_full = True
    desk = Desk(store)
    with pytest.raises(cp.StoreError):
        await desk.entry.submit(desk.submission(), wait=True)
    assert desk.entry.unanswered == 0


@virtual
async def test_a_call_stays_cancelled_if_its_outcome_cannot_be_stored() -> None:
    """The outcome is not in the outbox any more, so it is reported from memory."""
    store = FullDisk()
    desk = Desk(store)
    calling = asyncio.create_task(desk.entry.submit(desk.submission(), wait=True))
    await asyncio.sleep(1)
    desk.told(5, cp.OrderNotFound(7))
    store.is_full = True
    calling.cancel()
    await asyncio.wait([calling])
    assert calling.cancelled()
    report = await anext(desk.reports.subscribe())
    assert isinstance(report, cp.OutcomeReport)
    assert isinstance(report.error, cp.OrderNotOpen)


@virtual
async def test_an_answer_that_comes_during_the_probe_is_the_answer() -> None:
    desk = Desk()
    desk.connection.on_request = lambda: desk.told(5, cp.OrderNotFound(7))
    with pytest.raises(cp.OrderNotOpen):
        await desk.entry.submit(desk.submission(timeout=1.0), wait=True)
    assert desk.connection.given_up == []


@virtual
async def test_an_answer_that_does_not_come_behind_the_probe_ends_the_connection() -> None:
    desk = Desk()
    with pytest.raises(cp.OutcomeUnknown):
        await desk.entry.submit(desk.submission(timeout=1.0), wait=True)
    assert len(desk.connection.given_up) == 1


@virtual
async def test_cancel_all_without_a_connection_to_prove_it_is_unknown() -> None:
    desk = Desk()

    async def lose() -> None:
        desk.link.detach()

    desk.connection.on_send = lose
    with pytest.raises(cp.OutcomeUnknown):
        await desk.entry.submit(desk.submission(Kind.CANCEL_ALL), wait=True)


@virtual
async def test_cancel_all_whose_caller_leaves_is_settled_on_the_same_connection() -> None:
    desk = Desk()
    reader = desk.reports.subscribe()
    desk.connection.on_send = lambda: asyncio.sleep(3600)
    calling = asyncio.create_task(desk.entry.submit(desk.submission(Kind.CANCEL_ALL), wait=True))
    await asyncio.sleep(1)
    calling.cancel()
    await asyncio.wait([calling])
    assert calling.cancelled()
    outcome = await anext(reader)
    assert isinstance(outcome, cp.OutcomeReport)
    assert (outcome.kind, outcome.error) == (Kind.CANCEL_ALL, None)
    assert desk.entry.unanswered == 0
    assert desk.store.outbox() == []


@virtual
async def test_a_call_that_is_cancelled_when_the_client_was_closed() -> None:
    desk = Desk()
    calling = asyncio.create_task(desk.entry.submit(desk.submission(), wait=True))
    await asyncio.sleep(1)
    desk.entry.close()
    desk.store.close()
    calling.cancel()
    await asyncio.wait([calling])
    assert calling.cancelled()
    assert len(desk.store.outbox()) == 1  # for the next process
    assert desk.store.late_reports() == []


@virtual
async def test_what_becomes_known_after_the_end_wakes_nobody_twice() -> None:
    for late in ("an answer", "a handshake"):
        desk = Desk()
        calling = asyncio.create_task(desk.entry.submit(desk.submission(), wait=True))
        await asyncio.sleep(1)
        assert desk.entry.unanswered == 1
        desk.entry.close()
        await asyncio.wait([calling])
        assert isinstance(calling.exception(), cp.OutcomeUnknown)
        if late == "an answer":
            desk.told(5, cp.OrderNotFound(7))
        else:
            await desk.entry.resume(cast("Any", desk.connection), 0)  # it has not received it
        assert desk.entry.unanswered == 0


@virtual
async def test_an_answer_that_the_new_connection_has_replayed_does_not_prove_a_rewind() -> None:
    """Its handshake may have told the last sequence before an older connection delivered one more."""
    desk = Desk()
    order = cp.Order(client_order_id=5, trade_pair="BTC_USD", side=cp.Side.BUY, amount=1, price=1)
    submission = desk.submission(Kind.PLACE)
    submission.order, submission.pending.client_order_id = order, 5
    calling = asyncio.create_task(desk.entry.submit(submission, wait=True))
    await asyncio.sleep(1)
    desk.entry.on_disconnected(cp.ConnectionClosed(None, "lost"))
    desk.told(8, decode(placed(5)))  # on the new connection, whose handshake said 0
    desk.connection.received_position = 8
    await calling
    await desk.entry.resume(cast("Any", desk.connection), 0)
    desk.entry.on_disconnected(cp.ConnectionClosed(None, "lost"))
    with pytest.raises(cp.HistoryRewound):  # now it has been told before the handshake
        await desk.entry.resume(cast("Any", desk.connection), 0)


@virtual
async def test_an_exchange_that_has_forgotten_what_is_known_here_was_rewound() -> None:
    """It would use the ids of those events again, and what comes with them would change and settle nothing."""
    store = cp.MemoryStore()
    store.open("alice", "")
    store.remove(store.put(OutboxEntry(kind="place", payload=b"{}", created_ns=0, sequence=1)), 8)
    desk = Desk(store)
    connection = cast("Any", desk.connection)
    await desk.entry.resume(connection, -1)  # live events alone
    connection.received_position = 8
    await desk.entry.resume(connection, 5)
    desk.account.apply([told(9, decode(placed(5)))])  # and nobody has handled it yet
    with pytest.raises(cp.HistoryRewound) as caught:
        await desk.entry.resume(connection, 5)
    assert (caught.value.position, caught.value.exchange_position) == (9, 8)
    connection.received_position = 9
    await desk.entry.resume(connection, 5)


@virtual
async def test_an_order_id_that_was_used_before_shows_that_the_exchange_was_rewound() -> None:
    desk = Desk()
    desk.told(4, orders.placed(1, 5))
    submission = desk.submission(Kind.PLACE)
    submission.pending.client_order_id = 6
    call = asyncio.ensure_future(desk.entry.submit(submission, wait=True))
    await settle()
    desk.told(9, orders.placed(1, 6))
    (error,) = desk.connection.given_up
    assert isinstance(error, cp.HistoryRewound)
    assert error.what == "order"
    assert not submission.answer.done()
    call.cancel()


@virtual
async def test_an_order_that_is_open_again_after_its_end_shows_it_after_a_reconnect() -> None:
    """Nothing is changed: an order that has ended here stays as it is."""
    desk = Desk()
    desk.told(4, orders.placed(1, 5))
    desk.told(5, orders.cancelled(1, 5))
    desk.connection.received_position = 5
    desk.connection.open_orders = orders.a_list(OpenOrder(1, orders.ONE, orders.PRICE, 5))
    with pytest.raises(cp.HistoryRewound) as caught:
        await desk.entry.resume(cast("Any", desk.connection), 5)
    assert caught.value.what == "order"
    assert desk.account.orders.open == []


@virtual
async def test_a_live_event_below_what_has_settled_something_shows_it_too() -> None:
    """Only a connection that replays nothing cannot have such an event."""
    store = cp.MemoryStore()
    store.open("alice", "")
    store.remove(store.put(OutboxEntry(kind="place", payload=b"{}", created_ns=0, sequence=1)), 8)
    desk = Desk(store)
    connection = cast("Any", desk.connection)
    connection.received_position = -1
    await desk.entry.resume(connection, -1)
    call = asyncio.ensure_future(desk.entry.submit(desk.submission(), wait=True))
    await settle()
    desk.entry.settle([told(None, cp.OrderNotFound(7))])  # a broadcast has no id
    desk.told(9, cp.OrderNotFound(99))
    assert desk.connection.given_up == []
    desk.told(7, cp.OrderNotFound(7))
    (error,) = desk.connection.given_up
    assert isinstance(error, cp.HistoryRewound)
    assert (error.position, error.exchange_position) == (8, 7)
    desk.entry.on_disconnected(error)
    desk.told(7, cp.OrderNotFound(7))
    assert len(desk.connection.given_up) == 1
    call.cancel()
