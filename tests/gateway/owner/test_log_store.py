"""The owner's store, over a stream that is a list."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from cryptoproto.client.error_row import ErrorRow
from cryptoproto.client.store import OutboxEntry
from cryptoproto.exceptions import InsufficientFundsError, OwnershipLost, RequestNotSent
from cryptoproto.gateway.command_log import CommandLog
from cryptoproto.gateway.owner.command import CURRENT, Command
from cryptoproto.gateway.owner.log_store import LogStore
from cryptoproto.gateway.records import Answered, Checkpoint, Connected, Intent, LogRecord, Takeover, decode_records


class Stream:
    """In the place of a StreamWriter: appends to a list when it is allowed to."""

    def __init__(self, log: CommandLog) -> None:
        self.last = 0
        self.records: list[LogRecord] = []
        self.together: list[int] = []  # how many records each message has
        self.purged: list[int] = []
        self.is_broken = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._log = log
        self._sent: dict[int, bytes] = {}

    async def append(self, payload: bytes) -> int:
        return await self.stored(self.send(payload))

    def send(self, payload: bytes) -> int:
        self.last += 1
        self._sent[self.last] = payload
        return self.last

    def stored(self, number: int) -> asyncio.Future[int]:
        return asyncio.ensure_future(self._store(number))

    async def _store(self, number: int) -> int:
        await self.goes_on.wait()
        if self.is_broken:
            raise OwnershipLost("another process has written")
        if (payload := self._sent.pop(number, None)) is not None:
            records = decode_records(payload)
            self.records += records
            self.together.append(len(records))
        return number

    async def purge(self, number: int) -> None:
        self.purged.append(number)


class World:
    def __init__(self, *, kept: int = 100, records: list[LogRecord] | None = None) -> None:
        self.log = CommandLog(kept)
        for number, record in enumerate([Takeover(3, "m"), *(records or [])], 1):
            self.log.apply(record, number)
        self.stream = Stream(self.log)
        self.is_owner = True
        self.now = 10.0
        writer: Any = self.stream
        self.store = LogStore(writer, self.log, 5, lambda: self.is_owner, self.stream.purge, lambda: self.now)

    def answers(self) -> list[str]:
        return [record.command for record in self.stream.records if isinstance(record, Answered)]

    async def send(self, name: str, sequence: int = 1) -> Command:
        """A command on its way to the exchange."""
        command = Command(name, "one")
        CURRENT.set(command)
        entry = OutboxEntry(kind="place", payload=b"{}", created_ns=1, client_order_id=7, sequence=sequence)
        await self.store.reserve(entry)
        self.store.put(entry)
        return command


def late(error: str | None = None) -> bytes:
    row = msgspec.to_builtins(ErrorRow(error)) | {"kind": "place", "client_order_id": 7}
    return msgspec.json.encode(row)


async def test_an_intent_is_written_before_a_message_may_be_sent() -> None:
    world = World()
    command = await world.send("a")
    (intent,) = world.stream.records
    assert isinstance(intent, Intent)
    assert (intent.command, intent.sequence, command.key) == ("a", 1, 1)
    assert world.log.intent("a") == intent


async def test_without_the_lease_nothing_is_sent() -> None:
    world = World()
    world.is_owner = False
    assert not world.store.holds
    with pytest.raises(RequestNotSent, match="not the owner any more"):
        await world.send("a")


async def test_what_cannot_be_written_is_not_sent() -> None:
    world = World()
    world.stream.is_broken = True
    with pytest.raises(RequestNotSent, match="the next owner takes commands"):
        await world.send("a")
    await world.store.wait_sent(60)  # nothing is about to be sent
    with pytest.raises(OwnershipLost):
        await world.store.connected(4)


async def test_outcomes_are_written_in_the_order_of_their_events() -> None:
    """The task of a command runs later than the event: an outcome that nobody waits for must not pass it.

    Otherwise a new owner would know that events up to the later one were looked at, and never settle the earlier one.
    """
    world = World()
    first, second = await world.send("first", 1), await world.send("second", 2)
    assert first.key is not None
    world.store.remove(first.key, 20)
    assert world.store.is_settled(first)
    assert not world.store.is_settled(second)
    world.store.put_late_report(late(), second.key, 21)
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.answers() == []
    world.store.answer(first, InsufficientFundsError("USD", 4))
    await world.store.flushed()
    assert world.answers() == ["first", "second"]
    settled = [record.settled_through for record in world.stream.records if isinstance(record, Answered)]
    assert settled == [20, 21]
    assert world.store.settled_through == 21
    answer = world.log.answer("second")
    assert answer is not None
    assert (answer.client_order_id, answer.fence, answer.at) == (7, 3, 10.0)


async def test_flushed_waits_for_every_outcome_that_is_known() -> None:
    world = World()
    command = await world.send("a")
    assert command.key is not None
    await world.store.flushed()
    world.store.remove(command.key, 20)
    waiting = asyncio.ensure_future(world.store.flushed())
    await asyncio.sleep(0)
    assert not waiting.done()
    world.stream.goes_on.clear()
    world.store.answer(command, None)
    await asyncio.sleep(0)
    assert not waiting.done()
    world.stream.goes_on.set()
    await waiting
    assert world.answers() == ["a"]


async def test_flushed_says_that_the_ownership_is_lost() -> None:
    world = World()
    world.stream.is_broken = True
    world.store.answer(Command("a", "one"), None)
    with pytest.raises(OwnershipLost):
        await world.store.flushed()


async def test_a_new_owner_takes_up_what_may_have_been_received() -> None:
    intents: list[LogRecord] = [
        Intent(name, "one", "place", msgspec.Raw(b"{}"), sequence, 1)
        for name, sequence in (("a", 4), ("b", 5), ("c", 6))
    ]
    world = World(records=[*intents[:2], Connected(4), intents[2]])
    assert [(entry.sequence, entry.key) for entry in world.store.outbox()] == [(4, 1), (6, 2)]
    await world.store.flushed()
    (record,) = world.stream.records
    assert isinstance(record, Answered)
    assert record.command == "b"
    assert isinstance(record.outcome.restored(), RequestNotSent)


async def test_a_new_owner_settles_nothing_with_events_that_were_looked_at() -> None:
    """A refusal for lack of funds does not name its order: looked at twice, it would settle another one."""
    world = World(records=[Answered("one/a", "one", ErrorRow(), settled_through=9)])
    assert world.store.settled_through == 9


async def test_a_connection_is_written_down() -> None:
    world = World()
    await world.store.connected(4)
    assert world.stream.records == [Connected(4)]


async def test_what_is_forgotten_is_deleted_after_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.gateway.owner.outcome_writer._DELETE_AFTER", 3)
    world = World(kept=2)
    world.stream.last = 1
    for number in range(8):
        world.now += 1
        world.store.answer(Command(f"c{number}", "one"), None)
        await world.store.flushed()
    checkpoints = [record for record in world.stream.records if isinstance(record, Checkpoint)]
    assert [each.forgotten_at for each in checkpoints] == [13.0, 16.0]
    await asyncio.sleep(0)
    assert world.stream.purged == [4, 7]  # the answers that are kept are at most from there on


async def test_what_is_being_deleted_at_the_end_is_left_to_the_next_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.gateway.owner.outcome_writer._DELETE_AFTER", 1)
    begun = asyncio.Event()

    async def purge(_number: int) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Stream, "purge", lambda _, number: purge(number))
    world = World(kept=1)
    world.stream.last = 1
    for name in ("a", "b", "c"):
        world.store.answer(Command(name, "one"), None)
    await world.store.flushed()
    await begun.wait()
    world.store.close()


async def test_a_checkpoint_does_not_come_before_an_outcome_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says through which transaction outcomes are known: a new owner would not look for one that is missing."""
    monkeypatch.setattr("cryptoproto.gateway.owner.outcome_writer._DELETE_AFTER", 1)
    world = World(kept=1)
    first, second = await world.send("first", 1), await world.send("second", 2)
    third = await world.send("third", 3)
    for number, command in enumerate((first, second, third)):
        assert command.key is not None
        world.store.remove(command.key, 20 + number)
    world.store.answer(first, None)
    world.store.answer(third, None)  # forgets the first
    await world.send("fourth", 4)
    assert not any(isinstance(record, Checkpoint) for record in world.stream.records)
    world.store.answer(second, None)
    await world.store.flushed()
    kinds = [type(record) for record in world.stream.records[-3:]]
    assert kinds == [Answered, Answered, Checkpoint]


async def test_who_publishes_waits_until_a_command_that_is_written_down_is_sent() -> None:
    world = World()
    await world.store.wait_sent(60)
    world.stream.goes_on.clear()
    sending = asyncio.ensure_future(world.send("a"))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(world.store.wait_sent(60))
    await world.store.wait_sent(0)  # not longer than that
    assert not waiting.done()
    world.stream.goes_on.set()
    await waiting
    await sending


async def test_a_store_has_a_position_and_no_reports() -> None:
    world = World()
    store = world.store
    store.open("alice", "aa")
    store.watch(lambda: None)
    assert store.position == 5
    store.advance(4)
    assert store.position == 5
    store.advance(6)
    assert store.position == 6
    assert store.late_reports() == []
    store.remove_late_report(1)
    store.remove(99, 3)
    store.put_late_report(late(), None, 3)
    store.flush()
    store.close()
    await store.flushed()
    assert world.stream.records == []
