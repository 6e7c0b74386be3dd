"""Which outcomes are written together, and when; over a stream that is a list."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from cryptoproto.client.error_row import ErrorRow
from cryptoproto.exceptions import OwnershipLost
from cryptoproto.gateway.command_log import CommandLog
from cryptoproto.gateway.owner import outcome_writer
from cryptoproto.gateway.owner.outcome_writer import OutcomeWriter
from cryptoproto.gateway.records import Answered, Intent, decode_records


class World:
    """``messages`` is what was appended: the commands of each message."""

    def __init__(self) -> None:
        self.messages: list[list[str]] = []
        self.is_broken = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.arrived = asyncio.Event()
        fake: Any = self
        self.outcomes = OutcomeWriter(fake, CommandLog(), self.purge)

    @property
    def last(self) -> int:
        return len(self.messages)

    def send(self, payload: bytes) -> int:
        self.messages.append([getattr(record, "command", "-") for record in decode_records(payload)])
        self.arrived.set()
        return len(self.messages)

    def stored(self, number: int) -> asyncio.Future[int]:
        return asyncio.ensure_future(self._stored(number))

    async def _stored(self, number: int) -> int:
        await self.goes_on.wait()
        if self.is_broken:
            raise OwnershipLost("another process has written")
        return number

    async def purge(self, number: int) -> None:
        """Nothing is forgotten here."""

    def put(self, *commands: str) -> None:
        for command in commands:
            self.outcomes.put(Answered(command, "one", ErrorRow()), self.outcomes.reserve())

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.messages) < count:
                self.arrived.clear()
                await self.arrived.wait()


def intent(command: str) -> Intent:
    return Intent(command, "one", "place", msgspec.Raw(b"{}"), 1, 1)


async def test_outcomes_are_written_by_themselves_and_together() -> None:
    world = World()
    world.put("a", "b")
    assert world.messages == []
    await world.until(1)
    assert world.messages == [["a", "b"]]
    await world.outcomes.flushed()


async def test_the_next_command_takes_outcomes_along() -> None:
    world = World()
    world.put("a")
    assert await world.outcomes.write_with(intent("b")) == 1
    assert await world.outcomes.write_with(intent("c")) == 2
    assert world.messages == [["a", "b"], ["c"]]
    await world.outcomes.flushed()


async def test_who_is_in_no_hurry_waits_for_the_next_command() -> None:
    world = World()
    world.put("a")
    waiting = asyncio.ensure_future(world.outcomes.flushed(at_once=False))
    await asyncio.sleep(0)
    assert world.messages == []
    await world.outcomes.write_with(intent("b"))
    await waiting
    assert world.messages == [["a", "b"]]


async def test_only_one_message_with_outcomes_is_on_its_way() -> None:
    """A command does not wait for it, and takes none along."""
    world = World()
    world.goes_on.clear()
    world.put("a")
    flushing = asyncio.ensure_future(world.outcomes.flushed())
    await world.until(1)
    world.put("b")
    writing = asyncio.ensure_future(world.outcomes.write_with(intent("c")))
    await world.until(2)
    assert world.messages == [["a"], ["c"]]
    world.goes_on.set()
    await flushing
    assert await writing == 2
    assert world.messages == [["a"], ["c"], ["b"]]


async def test_a_command_that_is_given_up_does_not_hide_that_outcomes_are_on_their_way() -> None:
    world = World()
    world.goes_on.clear()
    world.put("a")
    writing = asyncio.ensure_future(world.outcomes.write_with(intent("b")))
    await world.until(1)
    writing.cancel()
    flushing = asyncio.ensure_future(world.outcomes.flushed())
    await asyncio.wait([writing])
    await asyncio.sleep(0)
    assert not flushing.done()
    world.goes_on.set()
    await flushing


async def test_an_outcome_that_is_known_and_not_given_yet_holds_up_later_ones() -> None:
    world = World()
    slot = world.outcomes.reserve()
    world.put("b")
    await world.outcomes.write_with(intent("c"))
    flushing = asyncio.ensure_future(world.outcomes.flushed())
    await asyncio.sleep(0)
    assert (world.messages, flushing.done()) == ([["c"]], False)
    world.outcomes.put(Answered("a", "one", ErrorRow()), slot)
    await flushing
    assert world.messages == [["c"], ["a", "b"]]


async def test_messages_have_a_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcome_writer, "_TOGETHER", 2)
    world = World()
    world.put("a", "b", "c", "d", "e")
    await world.outcomes.flushed()
    assert world.messages == [["a", "b"], ["c", "d"], ["e"]]


async def test_what_cannot_be_written_ends_the_ownership() -> None:
    world = World()
    world.is_broken = True
    world.put("a")
    with pytest.raises(OwnershipLost):
        await world.outcomes.write_with(intent("b"))
    with pytest.raises(OwnershipLost):
        await world.outcomes.flushed()


async def test_what_comes_while_the_last_message_is_on_its_way_is_not_written_by_itself() -> None:
    world = World()
    world.goes_on.clear()
    world.put("a")
    writing = asyncio.ensure_future(world.outcomes.write_with(intent("b")))
    await world.until(1)
    world.put("c")
    world.outcomes.close()
    world.goes_on.set()
    await writing
    await asyncio.sleep(0)
    assert world.messages == [["a", "b"]]
    await world.outcomes.flushed()
    assert world.messages == [["a", "b"], ["c"]]


async def test_nothing_is_written_by_itself_after_the_end() -> None:
    world = World()
    world.put("a")
    world.outcomes.close()
    world.outcomes.close()
    await asyncio.sleep(outcome_writer.GATHER_S * 2)
    assert world.messages == []
    await world.outcomes.flushed()
    assert world.messages == [["a"]]
    world.outcomes.close()
