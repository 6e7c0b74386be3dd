"""Events arrive once and in order, whatever happens to the consumer; with a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from nats.aio.client import Client as Nats
from nats.js.api import StreamConfig

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError, HistoryTruncated
from cryptoproto.gateway.calls import EventsFrom, OpenEvents
from cryptoproto.gateway.event_codec import encode_events
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.nats_connection import close_nats, open_nats
from cryptoproto.gateway.owner.event_consumers import EventConsumers
from cryptoproto.gateway.strategy import event_reader
from cryptoproto.gateway.strategy.event_reader import EventReader
from tests.support.nats_server import NatsServer

NAMES = Names("alice")


class World:
    """A stream, and a reader whose consumers are made as the owner does."""

    def __init__(self, nc: Nats) -> None:
        self.js = nc.jetstream(timeout=5)
        self.seen: list[int] = []
        self.opened = 0
        self.failures: list[cp.CryptoprotoError] = []
        self.refused: list[cp.CryptoprotoError] = []
        self._consumers = EventConsumers(self.js, NAMES)
        self._last = -1
        self._changed = asyncio.Event()
        self.reader = EventReader(nc, NAMES.events_stream, self._open, self._receive)

    async def _open(self, deliver: str, position: int | None, live_only: bool) -> EventsFrom:
        self.opened += 1
        if self.failures:
            raise self.failures.pop()
        return await self._consumers.open(OpenEvents(1, deliver, position, live_only), "one")

    def _receive(self, event: cp.Event) -> None:
        if self.refused:
            raise self.refused.pop()
        self.seen.append(event.transaction_id or 0)
        self._changed.set()

    async def publish(self, *ids: int) -> None:
        for number in ids:
            event = cp.Event(number, 0.0, cp.Unknown("x", {}), 0, b"{}")
            await self.js.publish(NAMES.events, encode_events([event], self._last))
            self._last = number

    async def publish_together(self, *ids: int) -> None:
        events = [cp.Event(number, 0.0, cp.Unknown("x", {}), 0, b"{}") for number in ids]
        await self.js.publish(NAMES.events, encode_events(events, self._last))
        self._last = ids[-1]

    async def until(self, *ids: int) -> None:
        async with asyncio.timeout(10):
            while self.seen[-len(ids) :] != list(ids):
                self._changed.clear()
                await self._changed.wait()

    async def failure(self) -> cp.CryptoprotoError:
        async with asyncio.timeout(10):
            return await self.reader.wait_failed()


@pytest.fixture
async def world(nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(event_reader, "_RETRY_S", 0.01)
    nc = Nats()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.one")
    world = World(nc)
    await world.js.add_stream(StreamConfig(name=NAMES.events_stream, subjects=[NAMES.events]))
    yield world
    await world.reader.close()
    await world.reader.close()
    await close_nats(nc)


@pytest.mark.parametrize(
    ("position", "live_only", "expected"),
    [(None, False, [3, 4, 8, 9]), (3, False, [4, 8, 9]), (5, True, [8, 9]), (None, True, [9]), (8, False, [9])],
)
async def test_everything_after_a_position(
    world: World, position: int | None, live_only: bool, expected: list[int]
) -> None:
    await world.publish(3, 4, 8)
    await world.reader.start(position, live_only=live_only)
    await world.publish(9)
    await world.until(*expected)
    assert world.seen == expected
    assert world.reader.position == 9


async def test_who_wants_only_what_is_new_still_misses_nothing_later(world: World) -> None:
    """Its position is that of the stream when it began, so events dropped before the first was handled come again."""
    await world.publish(3, 4)
    await world.reader.start(None, live_only=True)
    assert world.reader.position == 4
    await world.publish(5, 6)
    await world.until(5, 6)
    world.reader.give_up(cp.SlowConsumer(None, "the queue is full", position=None))
    await world.until(5, 6, 5, 6)


async def test_events_that_were_not_taken_are_read_again(world: World) -> None:
    await world.publish(3, 4, 5)
    await world.reader.start(None)
    await world.until(3, 4, 5)
    world.reader.give_up(cp.SlowConsumer(None, "the queue is full", position=3))
    await world.until(3, 4, 5, 4, 5)
    world.reader.give_up(cp.ConnectionClosed(None, "another reason"))
    await world.publish(6)
    await world.until(4, 5, 6)


async def test_an_event_that_could_not_be_stored_comes_again(world: World) -> None:
    world.refused = [cp.StoreError("the disk is full")]
    await world.reader.start(None)
    await world.publish(3, 4)
    await world.until(3, 4)
    assert world.seen == [3, 4]


async def test_a_consumer_that_the_server_has_forgotten(world: World) -> None:
    """Nothing says so: it is noticed because the owner has published more."""
    await world.reader.start(None)
    await world.publish(3)
    await world.until(3)
    for consumer in await world.js.consumers_info(NAMES.events_stream):
        await world.js.delete_consumer(NAMES.events_stream, consumer.name or "")
    await world.publish(4)
    world.reader.check(3)
    assert world.opened == 1, "everything that was published is here"
    world.reader.check(4)
    await world.until(3, 4)
    assert world.opened == 2
    world.reader.check(4)
    assert world.opened == 2


async def test_a_consumer_that_is_gone_while_the_tables_are_to_be_compared(world: World) -> None:
    """As after the end of the NATS server that had it: whoever waits for a position must not wait for ever."""
    await world.publish(3)
    await world.reader.start(None)
    await world.until(3)
    for consumer in await world.js.consumers_info(NAMES.events_stream):
        await world.js.delete_consumer(NAMES.events_stream, consumer.name or "")
    await world.publish(4, 5)
    world.reader.hold()
    world.reader.check(5)
    world.reader.check(5)
    assert world.opened == 1, "nothing is wanted yet"
    reaching = asyncio.ensure_future(world.reader.reach(4))
    await asyncio.sleep(0)
    world.reader.check(5)
    async with asyncio.timeout(10):
        await reaching
    assert world.seen == [3, 4]
    world.reader.release()
    await world.until(3, 4, 5)


async def test_a_message_that_is_missing_is_asked_for_again(world: World) -> None:
    """And those of the consumer before do not count any more."""
    await world.publish(3, 4, 5)
    await world.reader.start(None)
    await world.until(3, 4, 5)
    world.reader._next_number = 2  # as if the second message had been lost, and the third had not come yet
    world.reader.position = 3
    await world.publish(6)
    await world.until(3, 4, 5, 4, 5, 6)
    assert world.opened == 2


async def test_closing_while_an_event_waits_for_its_turn(world: World) -> None:
    await world.reader.start(None)
    world.reader.pause()
    await world.publish_together(3, 4)
    await world.reader.close()
    assert world.seen == []


async def test_the_first_failure_counts(world: World) -> None:
    await world.reader.start(None)
    await world.js.publish(NAMES.events, b"rubbish")
    first = await world.failure()
    world.reader._fail(GatewayError("another one"))
    assert await world.failure() is first


async def test_without_an_owner_it_tries_again(world: World) -> None:
    await world.publish(3, 4)
    await world.reader.start(None)
    await world.until(3, 4)
    world.failures = [GatewayError("no owner"), cp.RequestNotSent("no owner")]
    world.reader.read_again("a test says so")
    world.reader.read_again("once is enough")
    await world.publish(5)
    await world.until(4, 5)
    assert world.opened == 4


async def test_the_start_says_that_there_is_no_owner(world: World) -> None:
    world.failures = [cp.RequestNotSent("no owner")]
    with pytest.raises(cp.RequestNotSent):
        await world.reader.start(None)
    await world.reader.start(None)
    await world.publish(3)
    await world.until(3)


async def test_nothing_passes_while_paused(world: World) -> None:
    await world.reader.start(None)
    world.reader.pause()
    await world.publish(3, 4)
    world.reader.check(4)
    world.reader.check(4)
    assert (world.seen, world.opened) == ([], 1)
    world.reader.resume()
    await world.until(3, 4)


async def test_tables_are_compared_between_two_events(world: World) -> None:
    await world.publish(3, 4)
    await world.reader.start(None)
    world.reader.hold()
    await world.reader.reach(3)
    assert world.seen == [3]
    world.reader.release()
    await world.until(3, 4)


async def test_a_message_with_several_events(world: World) -> None:
    """The position may be between two of them, where tables are compared, too."""
    await world.publish_together(3, 4, 5, 6)
    await world.reader.start(3)
    world.reader.hold()
    await world.reader.reach(5)
    assert world.seen == [4, 5]
    world.reader.release()
    await world.until(4, 5, 6)


async def test_an_event_in_the_middle_of_a_message_could_not_be_stored(world: World) -> None:
    world.refused = [cp.StoreError("the disk is full")]
    await world.reader.start(None)
    await world.publish_together(3, 4)
    await world.until(3, 4)
    assert world.seen == [3, 4]


async def test_a_position_that_is_not_kept_any_more(world: World) -> None:
    await world.publish(3, 4, 5)
    await world.js.purge_stream(NAMES.events_stream, seq=3)
    with pytest.raises(HistoryTruncated) as caught:
        await world.reader.start(3)
    assert (caught.value.position, caught.value.first) == (3, 5)
    await world.reader.start(4)  # nothing is missing
    await world.until(5)


async def test_what_was_missed_is_deleted_meanwhile(world: World) -> None:
    """Whoever waits for an event gets the error, and does not wait for ever."""
    await world.publish(3, 4, 5)
    await world.reader.start(None)
    await world.until(3, 4, 5)
    world.reader.hold()
    reaching = asyncio.ensure_future(world.reader.reach(99))
    await world.js.purge_stream(NAMES.events_stream, seq=3)
    world.reader.give_up(cp.SlowConsumer(None, "the queue is full", position=3))
    assert isinstance(await world.failure(), HistoryTruncated)
    with pytest.raises(HistoryTruncated):
        await reaching


async def test_a_message_that_no_gateway_has_written(world: World) -> None:
    await world.reader.start(None)
    world.reader.hold()
    reaching = asyncio.ensure_future(world.reader.reach(99))
    await world.js.publish(NAMES.events, b"rubbish")
    assert isinstance(await world.failure(), cp.DecodeError)
    with pytest.raises(cp.DecodeError):
        await reaching


async def test_closing_ends_every_wait(world: World) -> None:
    await world.publish(3)
    await world.reader.start(None)
    world.reader.hold()
    reaching = asyncio.ensure_future(world.reader.reach(99))
    await world.until(3)
    world.failures = [GatewayError("no owner")] * 1000
    world.reader.read_again("a test says so")
    async with asyncio.timeout(10):
        await world.reader.close()
        await reaching
