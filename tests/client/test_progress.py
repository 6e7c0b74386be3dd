"""Which events are done with, and when the store hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import cryptoproto as cp
from cryptoproto.client.metrics import Histogram
from cryptoproto.client.progress import Progress
from cryptoproto.client.stream import EventStream
from cryptoproto.connection.event_queue import Inbox
from cryptoproto.messages import OrderNotFound
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
    """A stream of events with what stands around it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.store = Noted()
        self.durations = Histogram()
        self.inbox = Inbox(loop, 100)
        self.progress = Progress(self.store, self.durations, loop)
        self.stream = EventStream(self.inbox, self.progress, lambda: None)

    def put(self, *transaction_ids: int | None) -> None:
        for transaction_id in transaction_ids:
            self.inbox.put(told(transaction_id, OrderNotFound(1)))

    async def take(self, count: int) -> list[int | None]:
        return [(await anext(self.stream)).transaction_id for _ in range(count)]


@virtual
async def test_an_event_is_done_with_when_the_next_is_asked_for() -> None:
    setting = Setting()
    progress = setting.progress
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
    assert setting.durations.count == 6


@virtual
async def test_a_group_that_is_not_full_is_stored_in_a_moment() -> None:
    setting = Setting()
    setting.put(1, 2, 3, 4)
    await setting.take(2)
    await asyncio.sleep(0.06)
    assert setting.store.notes == [1, "flush"]
    assert setting.durations.count == 2
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
async def test_a_handler_is_done_when_it_has_returned() -> None:
    setting = Setting()
    progress = setting.progress
    for transaction_id in (1, None, 3):
        progress.begin(told(transaction_id, OrderNotFound(1)))
        assert progress.handling() == transaction_id
        progress.finish()
        assert progress.handling() is None
    assert setting.store.notes == [3, "flush"]
    progress.begin(told(4, OrderNotFound(1)))
    progress.stop()  # closed from within the handler
    progress.finish()
    assert progress.position == 3
    await asyncio.sleep(1)
    assert setting.store.notes == [3, "flush", 3], "the store's own closing writes it"
