"""Events reach one reader in order; the position moves when an event is handled, and is stored in groups."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.account import Account
from cryptoproto.client.event_stream import EventDelivery
from cryptoproto.client.link import Link
from cryptoproto.client.metrics import Histogram, Metrics
from cryptoproto.client.order_entry import OrderEntry
from cryptoproto.client.ready_messages import ReadyMessages
from cryptoproto.client.reports import Reports
from cryptoproto.messages import OrderNotFound
from tests.support.histories import balance
from tests.support.histories import event as recorded_event
from tests.support.told import told
from tests.support.virtual_time import virtual


class Noted(cp.MemoryStore):
    """Notes what it is told."""

    commit_every = 3

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str | int] = []
        self.faults = 0
        self.handling: Callable[[], int | None] = lambda: None

    def watch(self, handling: Callable[[], int | None]) -> None:
        self.handling = handling

    def advance(self, transaction_id: int) -> None:
        super().advance(transaction_id)
        self.notes.append(transaction_id)

    def flush(self) -> None:
        if self.faults:
            self.faults -= 1
            raise cp.StoreError("no space left")
        self.notes.append("flush")


class Setting:
    """An event delivery with what stands around it, and no connection."""

    def __init__(
        self,
        handler: Callable[[cp.Event], object] | None = None,
        max_queue: int = 100,
        *,
        attended: bool = True,
        store: Any = None,
    ) -> None:
        self.store = store or Noted()
        self.waits = Histogram()
        self.account = Account()
        metrics = Metrics()
        self.link = Link()
        ready = ReadyMessages(self.account.orders, keep_cancels=0)
        entry = OrderEntry(self.link, self.account, self.store, Reports(self.store), metrics, ready, None)
        self.delivery = EventDelivery(self.link, self.account, entry, self.store, self.waits, handler, max_queue)
        if attended and handler is None:
            self.stream = self.delivery.stream()

    def put(self, *transaction_ids: int | None) -> None:
        self.delivery.receive([told(transaction_id, OrderNotFound(1)) for transaction_id in transaction_ids])

    async def take(self, count: int) -> list[int | None]:
        return [(await anext(self.stream)).transaction_id for _ in range(count)]


@virtual
async def test_an_event_is_done_with_when_the_next_is_asked_for() -> None:
    setting = Setting()
    progress = setting.delivery
    setting.put(1, None, 5)
    assert progress.handling() is None
    for transaction_id, position in ((1, None), (None, 1), (5, 1)):
        assert await setting.take(1) == [transaction_id]
        assert (progress.handling(), progress.position) == (transaction_id, position)
    waiting = asyncio.ensure_future(anext(setting.stream))
    await asyncio.sleep(0)
    assert (progress.handling(), progress.position) == (None, 5)
    waiting.cancel()


@virtual
async def test_a_group_is_stored_when_it_is_full() -> None:
    setting = Setting()
    setting.put(*range(1, 9))
    await setting.take(3)
    assert setting.store.notes == []
    await setting.take(1)
    assert setting.store.notes == [3, "flush"]
    await setting.take(3)
    assert setting.store.notes == [3, "flush", 6, "flush"]
    assert setting.waits.snapshot().count == 6


@virtual
async def test_a_group_that_is_not_full_is_stored_in_a_moment() -> None:
    setting = Setting()
    setting.put(1, 2, 3, 4)
    await setting.take(2)
    await asyncio.sleep(0.06)
    assert setting.store.notes == [1, "flush"]
    assert setting.waits.snapshot().count == 2
    await asyncio.sleep(10)  # the second takes long, and nobody wakes up for it
    assert setting.store.notes == [1, "flush"]
    await setting.take(1)
    await asyncio.sleep(0.06)
    assert setting.store.notes == [1, "flush", 2, "flush"]


@virtual
async def test_the_last_event_is_stored_while_the_reader_waits() -> None:
    setting = Setting()
    setting.put(1)
    await setting.take(1)
    await asyncio.sleep(1)
    waiting = asyncio.ensure_future(anext(setting.stream))
    await asyncio.sleep(0.06)
    assert setting.store.notes[-2:] == [1, "flush"]
    waiting.cancel()


@virtual
async def test_a_store_that_fails_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.put(1, 2, 3, 4, 5)
    setting.store.faults = 2
    await setting.take(3)
    with pytest.raises(cp.StoreError, match="no space left"):  # the reader hears of it
        await setting.take(1)
    assert await setting.take(1) == [4], "the event that was not handed over"
    await asyncio.sleep(0.06)  # from the timer, nobody would hear: it is logged, and tried again
    assert "no space left" in caplog.text
    assert setting.store.notes == [3, 3]
    await asyncio.sleep(1)
    assert setting.store.notes == [3, 3, 3, "flush"]


@virtual
async def test_an_event_is_handled_when_the_handler_has_returned() -> None:
    seen: list[tuple[int | None, int | None]] = []
    setting = Setting(lambda event: seen.append((event.transaction_id, setting.delivery.handling())))
    setting.put(1, None, 3)
    assert seen == [(1, 1), (None, None), (3, 3)]
    assert setting.delivery.handling() is None
    assert setting.store.notes == [3, "flush"]


@virtual
async def test_closing_from_within_the_handler_leaves_its_event_unhandled() -> None:
    setting = Setting(lambda event: setting.delivery.end() if event.transaction_id == 4 else None)
    setting.put(1, 2, 3)
    setting.put(4)
    assert setting.delivery.position == 3
    await asyncio.sleep(1)
    assert setting.store.notes == [3, "flush", 3], "the store's own closing writes it"


@virtual
async def test_what_the_handler_raises_is_kept_as_the_failure_and_its_event_comes_again() -> None:
    setting = Setting(lambda event: 1 // (event.transaction_id != 2))
    with pytest.raises(ZeroDivisionError):
        setting.put(1, 2, 3)
    assert isinstance(setting.delivery.failure, cp.ConnectionClosed)
    assert isinstance(setting.delivery.failure.__cause__, ZeroDivisionError)
    assert setting.delivery.position == 1


@virtual
async def test_a_second_reader_in_another_running_task_is_refused_at_once() -> None:
    setting = Setting()
    setting.put(1, 2, 3)
    handling = asyncio.Event()

    async def read() -> None:
        async for _ in setting.delivery.stream():
            handling.set()
            await asyncio.sleep(3600)

    reading = asyncio.create_task(read())
    await handling.wait()
    for stream in (setting.delivery.stream(), setting.stream):
        with pytest.raises(cp.ConfigurationError, match="another task is iterating"):
            aiter(stream)
        with pytest.raises(cp.ConfigurationError, match="another task is iterating"):
            await anext(stream)
    reading.cancel()
    await asyncio.wait([reading])
    setting.stream = setting.delivery.stream()
    assert await setting.take(3) == [1, 2, 3], "what the cancelled reader had not finished comes again"


@virtual
async def test_a_second_loop_over_the_same_stream_continues_in_the_next_task() -> None:
    setting = Setting()
    setting.put(1, 2)

    async def first() -> int | None:
        async for event in setting.stream:
            return event.transaction_id
        return None

    assert await asyncio.create_task(first()) == 1
    assert await asyncio.create_task(first()) == 2, "asking for the next event says that the first was handled"
    assert setting.delivery.position == 1


@virtual
async def test_a_loop_that_was_left_gets_its_last_event_again() -> None:
    setting = Setting()
    setting.put(1, None, 3)
    async for event in setting.delivery.stream():
        if event.transaction_id is None:
            break
    setting.stream = setting.delivery.stream()
    assert await setting.take(2) == [None, 3]
    assert setting.delivery.position == 1


@virtual
async def test_what_a_commit_of_the_users_own_includes_does_not_come_again() -> None:
    setting = Setting()
    setting.put(1, 2)
    await setting.take(1)
    setting.store.advance(1)
    setting.stream = setting.delivery.stream()
    assert await setting.take(1) == [2]


# By the batch


async def batch_of(batches: Any) -> list[int | None]:
    return [event.transaction_id for event in await anext(batches)]


@virtual
async def test_a_batch_is_handled_when_the_next_is_asked_for() -> None:
    setting = Setting(attended=False)
    batches = setting.delivery.batches()
    setting.put(1, 2, None)
    setting.put(3)
    assert await batch_of(batches) == [1, 2, None]
    assert (setting.delivery.handling(), setting.delivery.position) == (2, None)
    assert await batch_of(batches) == [3]
    assert (setting.delivery.handling(), setting.delivery.position) == (3, 2)
    waiting = asyncio.ensure_future(anext(batches))
    await asyncio.sleep(0)
    assert (setting.delivery.handling(), setting.delivery.position) == (None, 3)
    waiting.cancel()
    await asyncio.sleep(0.06)
    assert setting.store.notes == [2, "flush", 3, "flush"]
    assert setting.waits.snapshot().count == 4


@virtual
async def test_a_group_of_batches_is_stored_when_it_is_full_or_in_a_moment() -> None:
    setting = Setting(attended=False)
    batches = setting.delivery.batches()
    for first in (1, 3, 5, 7):
        setting.put(first, first + 1)
    await batch_of(batches)
    await batch_of(batches)
    assert setting.store.notes == [], "two events are handled, of the three of a group"
    await batch_of(batches)
    assert setting.store.notes == [4, "flush"]
    await batch_of(batches)
    assert setting.store.notes == [4, "flush"]
    await asyncio.sleep(0.06)
    assert setting.store.notes == [4, "flush", 6, "flush"]


@virtual
async def test_a_loop_that_was_left_gets_its_batch_again_whatever_was_done_to_it() -> None:
    setting = Setting(attended=False)
    setting.put(1, None, 3)
    setting.put(4)
    (await anext(setting.delivery.batches())).clear()
    assert setting.delivery.queued == 1
    assert await batch_of(setting.delivery.batches()) == [1, None, 3]
    setting.stream = setting.delivery.stream()
    assert await setting.take(4) == [1, None, 3, 4], "one by one, too"
    assert setting.delivery.position == 3


@virtual
async def test_a_batch_of_broadcasts_comes_again() -> None:
    setting = Setting(attended=False)
    setting.put(1)
    setting.put(None, None)
    batches = setting.delivery.batches()
    await anext(batches)
    await anext(batches)
    assert (setting.delivery.handling(), setting.delivery.position) == (None, 1)
    assert await batch_of(setting.delivery.batches()) == [None, None]


@virtual
async def test_a_commit_of_the_users_own_includes_the_whole_batch() -> None:
    setting = Setting(attended=False)
    setting.put(1, 2)
    setting.put(3)
    await anext(setting.delivery.batches())
    handled = setting.delivery.handling()
    assert handled == 2
    setting.store.advance(handled)
    assert await batch_of(setting.delivery.batches()) == [3]


@virtual
async def test_a_batch_may_be_what_a_reader_of_events_has_left() -> None:
    setting = Setting()
    setting.put(1, 2, 3)
    assert await setting.take(1) == [1]
    assert await batch_of(setting.delivery.batches()) == [1, 2, 3], "the first one may not have been handled"


@virtual
async def test_batches_obey_back_pressure() -> None:
    setting = Setting(max_queue=4, attended=False)
    batches = setting.delivery.batches()
    connection: Any = Pausing()
    setting.link.attach(connection)
    setting.put(1, 2, 3)
    setting.put(4, 5)
    assert connection.notes == ["pause"]
    await anext(batches)
    assert connection.notes == ["pause", "resume"]
    await anext(batches)
    assert connection.notes == ["pause", "resume"]


@virtual
async def test_a_second_task_cannot_take_batches() -> None:
    setting = Setting()
    setting.put(1, 2, 3)
    handling = asyncio.Event()

    async def read() -> None:
        async for _ in setting.delivery.stream():
            handling.set()
            await asyncio.sleep(3600)

    reading = asyncio.create_task(read())
    await handling.wait()
    with pytest.raises(cp.ConfigurationError, match="another task is iterating"):
        await anext(setting.delivery.batches())
    reading.cancel()
    await asyncio.wait([reading])


@virtual
async def test_batches_end_as_the_events_do() -> None:
    setting = Setting(attended=False)
    batches = setting.delivery.batches()
    setting.put(1)
    setting.delivery.fail(cp.ConnectionClosed(None, "by design"))
    assert await batch_of(batches) == [1]
    with pytest.raises(cp.ConnectionClosed, match="by design"):
        await anext(batches)
    closed = Setting(attended=False)
    batches = closed.delivery.batches()
    closed.put(1)
    await anext(batches)
    closed.delivery.end()
    assert [batch async for batch in batches] == []
    assert closed.delivery.position is None, "it was not handled"


def test_batches_need_the_events() -> None:
    async def refused() -> None:
        with pytest.raises(cp.ConfigurationError, match="events go to on_event"):
            Setting(lambda event: None).delivery.batches()

    asyncio.run(refused())


class Pausing:
    """Stands for a connection that can be paused."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def pause_events(self) -> None:
        self.notes.append("pause")

    def resume_events(self) -> None:
        self.notes.append("resume")


class Connected:
    """Stands for a connection that can be given up."""

    def __init__(self) -> None:
        self.given_up: list[cp.CryptoprotoError] = []

    def give_up(self, error: cp.CryptoprotoError) -> None:
        self.given_up.append(error)


@virtual
async def test_a_connection_that_does_not_replay_events_requested_meanwhile_is_closed() -> None:
    setting = Setting(max_queue=4, attended=False)
    setting.put(*range(1, 11))  # nobody asks for events: they are dropped
    assert await setting.delivery.resume_point(0) == 10
    # While the next connection is opened, somebody asks.
    aiter(setting.delivery.stream())
    connection: Any = Connected()
    setting.link.attach(connection)
    setting.delivery.check_replay()
    assert [type(error) for error in connection.given_up] == [cp.SlowConsumer]
    assert await setting.delivery.resume_point(0) == 0
    setting.delivery.check_replay()
    assert len(connection.given_up) == 1


@virtual
async def test_live_events_that_nobody_had_asked_for_are_replayed_too() -> None:
    """The first of them shows where to resume, though there is no position yet."""
    setting = Setting(max_queue=4, attended=False)
    setting.put(*range(31, 41))
    assert await setting.delivery.resume_point(-1) == 40
    aiter(setting.delivery.stream())
    assert await setting.delivery.resume_point(-1) == 30


class Recording(Noted):
    """Keeps a history of transaction ids."""

    history = None
    recorded_through = -1

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[int | None] = []
        self.stated: list[tuple[int, dict[str, cp.Balance]]] = []
        self.is_full = False

    def record(self, events: list[cp.Event]) -> bool:
        if self.is_full:
            raise cp.StoreError("no space left")
        self.recorded += [event.transaction_id for event in events]
        return True

    def record_balances(self, transaction_id: int, balances: Mapping[str, cp.Balance]) -> None:
        self.stated.append((transaction_id, dict(balances)))


@virtual
async def test_events_are_recorded_when_they_are_received() -> None:
    setting = Setting(store=(store := Recording()), attended=False)
    setting.put(1, 2)
    assert store.recorded == [1, 2]
    await asyncio.sleep(0.06)  # nobody asks for them, and they are stored
    assert store.notes == ["flush"]


@virtual
async def test_balances_are_recorded_after_each_comparison() -> None:
    setting = Setting(store=(store := Recording()))
    setting.put(1)
    balances = {"USD": cp.Balance(Decimal(5), Decimal(1))}
    setting.account.balances.adopt(cp.UserBalanceResponse(1, balances))
    setting.delivery.settle()
    setting.delivery.settle()
    assert store.stated == [(1, balances)]


@virtual
async def test_what_cannot_be_recorded_is_not_applied() -> None:
    setting = Setting(store=(store := Recording()))
    store.is_full = True
    with pytest.raises(cp.StoreError, match="no space left"):
        setting.put(1)
    assert (setting.account.position, setting.delivery.queued) == (-1, 0)
    store.is_full = False
    setting.put(1)
    assert await setting.take(1) == [1]


@virtual
async def test_a_store_that_keeps_no_history_says_how_to_keep_one() -> None:
    for setting in (Setting(), Setting(store=Recording())):
        with pytest.raises(
            cp.ConfigurationError, match=r"keeps no history; to keep one, pass store=SqliteStore\(path, history=T"
        ):
            assert setting.delivery.history


async def test_a_history_has_what_was_received(memory_path: Path) -> None:
    store = cp.SqliteStore(memory_path / "alice.db", history=True)
    store.open("alice", "aa")
    setting = Setting(store=store)
    setting.delivery.receive([recorded_event(1, balance("USD", "3", "1"))])
    assert [record.available for record in setting.delivery.history.balances()] == [2, 3]
    assert len(await asyncio.to_thread(list, setting.delivery.history.balances())) == 2  # another thread does not write
    setting.delivery.end()
    store.close()
    assert len(list(setting.delivery.history.balances())) == 2
