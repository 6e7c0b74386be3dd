"""A message is written down under the sequence that it is sent with; the connection and the store are in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind, Pending
from cryptoproto.client.reservation import Reservations
from cryptoproto.client.store import MemoryStore, OutboxEntry
from cryptoproto.client.submission import Submission


class Connection:
    def __init__(self) -> None:
        self.is_open = True
        self.is_free = True
        self.next_sequence = 5
        self.last_sequence = 4
        self.ended: list[cp.CryptoprotoError] = []
        self.asked: list[object] = []
        self.kept: list[bytes] = []
        self.signed_here = 0
        self.on_sign: Callable[[], object] = bool
        self.answers = asyncio.Event()

    def is_free_for(self, _payload: bytes) -> bool:
        return self.is_free

    def keep_signed(self, payload: bytes, *, soon: bool) -> None:
        self.kept.append(payload)

    def sign_now(self, payload: bytes) -> None:
        assert payload in self.kept
        self.signed_here += 1

    def release(self, payload: bytes) -> None:
        self.kept.remove(payload)

    async def wait_signed(self, payload: bytes) -> None:
        assert payload in self.kept
        await asyncio.sleep(0)
        self.on_sign()
        if not self.is_open:
            raise cp.ConnectionClosed(None, "it has ended")

    def give_up(self, error: cp.CryptoprotoError) -> None:
        self.ended.append(error)

    async def request_at(self, message: object, at: Callable[[Any], None], *, timeout: float) -> None:
        self.next_sequence += 1
        self.asked.append(message)
        await self.answers.wait()
        at(timeout)


class ReservingStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reserved: list[int | None] = []
        self.seen: list[int] = []
        self.on_reserve: Callable[[], object] = bool

    async def reserve(self, entry: OutboxEntry) -> None:
        self.reserved.append(entry.sequence)
        self.on_reserve()

    async def connected(self, last_sequence: int) -> None:
        self.seen.append(last_sequence)


class World:
    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = ReservingStore()
        self.reservations = Reservations(self.store if store is None else store)
        self.fake = Connection()
        self.connection: Any = self.fake
        pending = Pending(kind=Kind.PLACE, client_order_id=7)
        self.submission = Submission(pending, b"{}", asyncio.get_running_loop().create_future())

    async def hold(self) -> bool:
        async with self.reservations.hold(self.connection, self.submission) as may_send:
            return may_send


def ignore(_response: object) -> None:
    pass


async def test_a_message_is_written_down_before_it_may_be_sent() -> None:
    world = World()
    assert world.reservations.are_needed
    assert await world.hold()
    assert world.store.reserved == [5]


async def test_another_message_has_taken_the_sequence_meanwhile() -> None:
    world = World()

    def take() -> None:
        world.fake.next_sequence = 6

    world.store.on_reserve = take
    assert await world.hold()
    assert world.store.reserved == [5, 6]


@pytest.mark.parametrize("what", ["is_open", "is_free"])
async def test_nothing_is_written_down_for_a_connection_that_takes_nothing(what: str) -> None:
    world = World()
    setattr(world.fake, what, False)
    assert not await world.hold()
    assert world.store.reserved == []


async def test_the_connection_ends_while_the_store_writes() -> None:
    world = World()

    def end() -> None:
        world.fake.is_open = False

    world.store.on_reserve = end
    assert not await world.hold()


async def test_a_message_is_signed_while_the_store_writes() -> None:
    world = World()
    kept: list[bytes] = []
    world.store.on_reserve = lambda: kept.extend(world.fake.kept)
    assert await world.hold()
    assert (kept, world.fake.kept) == ([b"{}"], [])


async def test_only_a_message_that_is_alone_is_signed_in_the_event_loop() -> None:
    world = World()
    assert await world.hold()
    assert world.fake.signed_here == 1
    assert await asyncio.gather(*(world.hold() for _ in range(3))) == [True] * 3
    assert world.fake.signed_here == 3, "the first and the last of the three"


async def test_the_connection_ends_while_a_message_is_signed() -> None:
    world = World()

    def end() -> None:
        world.fake.is_open = False

    world.fake.on_sign = end
    assert not await world.hold()
    assert world.fake.kept == []


async def test_nothing_else_is_sent_with_a_sequence_that_may_be_written_down() -> None:
    world = World()

    def fail() -> None:
        raise cp.RequestNotSent("no answer")

    world.store.on_reserve = fail
    with pytest.raises(cp.RequestNotSent):
        await world.hold()
    assert [type(error) for error in world.fake.ended] == [cp.ConnectionClosed]


async def test_one_message_after_the_other() -> None:
    world = World()
    async with world.reservations.hold(world.connection, world.submission):
        second = asyncio.ensure_future(world.hold())
        asking = asyncio.ensure_future(
            world.reservations.request_at(world.connection, cp.UserOrdersRequest(), ignore, 1)
        )
        await asyncio.sleep(0)
        assert (world.store.reserved, world.fake.asked) == ([5], [])
        world.fake.next_sequence = 6  # it is sent
    assert await second
    assert world.store.reserved == [5, 6]
    world.fake.answers.set()
    await asking


async def test_the_store_learns_what_the_exchange_has_seen() -> None:
    world = World()
    await world.reservations.connected(world.connection)
    assert world.store.seen == [4]


async def test_a_request_holds_others_up_only_until_it_is_sent() -> None:
    world = World()
    answers: list[Any] = []
    asking = asyncio.ensure_future(
        world.reservations.request_at(world.connection, cp.UserOrdersRequest(), answers.append, 3.0)
    )
    await asyncio.sleep(0)
    assert await world.hold()
    assert world.store.reserved == [6]
    world.fake.answers.set()
    await asking
    assert answers == [3.0]


async def test_a_request_that_is_cancelled_leaves_nothing_behind() -> None:
    world = World()
    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await world.reservations.request_at(world.connection, cp.UserOrdersRequest(), ignore, 3.0)
    assert asyncio.all_tasks() == before
    assert await world.hold()


async def test_another_kind_of_store_reserves_nothing() -> None:
    world = World(MemoryStore())
    assert not world.reservations.are_needed
    assert not await world.hold()
    await world.reservations.connected(world.connection)
    world.fake.answers.set()
    await world.reservations.request_at(world.connection, cp.UserOrdersRequest(), ignore, 3.0)
    assert len(world.fake.asked) == 1
