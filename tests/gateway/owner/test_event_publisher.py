"""Events go to the stream in order, after the outcomes that they tell of; the client and the stream are lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import nats.errors
import pytest

import cryptoproto as cp
from cryptoproto.exceptions import OwnershipLost
from cryptoproto.gateway.event_codec import decode_events, previous_of
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.owner import event_publisher
from cryptoproto.gateway.owner.event_publisher import EventPublisher


class World:
    """A client, a log and a stream; ``steps`` is what happened, in order."""

    def __init__(self, *reads: Sequence[int | None], ends: bool = False) -> None:
        self.position = 5
        self.steps: list[Any] = []
        self.error: Exception | None = None
        self.broadcast_fails = False
        self.has_open = False
        self.outcomes_are_written = asyncio.Event()
        self.outcomes_are_written.set()
        self.is_sent = asyncio.Event()
        self.is_sent.set()
        self._reads = reads
        self._ends = ends
        fake: Any = self
        self.publisher = EventPublisher(fake, Names("alice"), fake, fake, fake)

    async def batches(self) -> AsyncIterator[list[cp.Event]]:
        for ids in self._reads:
            yield [cp.Event(number, 0.0, cp.Unknown("x", {}), 0, b"{}") for number in ids]
        if not self._ends:
            await asyncio.Event().wait()

    async def flushed(self, *, at_once: bool = True) -> None:
        if at_once:
            self.steps.append("flushed")
        else:
            await self.outcomes_are_written.wait()

    async def wait_sent(self, _timeout: float) -> None:
        await self.is_sent.wait()

    async def append(self, message: bytes, message_id: str) -> None:
        if self.error is not None:
            raise self.error
        ids = [event.transaction_id or 0 for event in decode_events(message, 0)]
        assert message_id == str(ids[-1])
        self.steps.append((previous_of(message), *ids))

    async def publish(self, subject: str, _data: bytes) -> None:
        if self.broadcast_fails:
            raise nats.errors.ConnectionClosedError
        self.steps.append(subject)

    async def run_until(self, published: int) -> None:
        running = asyncio.ensure_future(self.publisher.run())
        async with asyncio.timeout(10):
            while self.publisher.published < published and not running.done():  # noqa: ASYNC110 - nobody says when
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])


async def test_outcomes_are_in_the_log_before_the_events() -> None:
    world = World([7, 9])
    await world.run_until(2)
    assert world.steps == ["flushed", (5, 7, 9)]
    assert world.publisher.position == 9


async def test_events_wait_until_outcomes_are_written_with_the_next_command() -> None:
    world = World([7])
    world.outcomes_are_written.clear()
    running = asyncio.ensure_future(world.run_until(1))
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.steps == []
    world.outcomes_are_written.set()
    await running
    assert world.steps == ["flushed", (5, 7)]


async def test_a_command_that_is_about_to_be_sent_goes_first() -> None:
    world = World([7])
    world.is_sent.clear()
    running = asyncio.ensure_future(world.run_until(1))
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.steps == []
    world.is_sent.set()
    await running
    assert world.steps == ["flushed", (5, 7)]


async def test_a_broadcast_is_passed_on_and_not_kept() -> None:
    world = World([None, 7])
    await world.run_until(1)
    assert world.steps == ["cryptoproto.alice.broadcast", "flushed", (5, 7)]


async def test_a_broadcast_that_cannot_be_sent_stops_nothing() -> None:
    world = World([None, 7])
    world.broadcast_fails = True
    await world.run_until(1)
    assert world.steps == ["flushed", (5, 7)]


async def test_messages_have_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_publisher, "_TOGETHER_BYTES", 5)
    monkeypatch.setattr(event_publisher, "_WAITING", 3)
    world = World([6, 7], [8, 9], [10])
    await world.run_until(5)
    messages = [step for step in world.steps if step != "flushed"]
    assert messages[0] == (5, 6, 7)
    assert max(len(ids) for ids in messages) == 3
    assert [number for _, *ids in messages for number in ids] == [6, 7, 8, 9, 10]


async def test_an_event_that_is_larger_than_that_is_a_message_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_publisher, "_TOGETHER_BYTES", 1)
    world = World([6, 7])
    await world.run_until(2)
    assert [step for step in world.steps if step != "flushed"] == [(5, 6), (6, 7)]


async def test_events_wait_a_moment_for_others_while_a_command_is_open() -> None:
    world = World([6, 7])
    world.has_open = True
    await world.run_until(2)
    assert world.steps == ["flushed", (5, 6, 7)]


async def test_somebody_else_publishes() -> None:
    world = World([7])
    world.error = OwnershipLost("another process has written")
    with pytest.raises(OwnershipLost):
        await world.publisher.run()
    assert (world.publisher.published, world.publisher.position) == (0, 5)


async def test_it_ends_with_the_client() -> None:
    world = World(ends=True)
    await world.publisher.run()
    assert world.steps == []
