"""The bounded queue of events: it stops the socket, never a reply, and never loses its place."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

import cryptoproto as cp
from cryptoproto.connection import event_queue as inbox
from cryptoproto.connection import options
from cryptoproto.connection.event_queue import EventQueue
from cryptoproto.transport import memory
from tests.support.peer import Peer, Script, settle, until_raised
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5
BALANCE = cp.UserBalanceRequest()


@pytest.fixture
def frame_by_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read brings one frame, so that limits are met exactly."""
    monkeypatch.setattr(memory, "_READ_MESSAGES", 1)


def reads(peer: Peer) -> bool:
    """The property, each time anew in the type checker's eyes."""
    return peer.client_reads


async def test_a_slow_reader_stops_the_socket_and_loses_nothing(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol, max_queue=100) as connection:
        script.peer.events(1, 1000)
        await settle()
        assert not reads(script.peer)
        assert connection.queued == 100
        taken = [(await anext(connection)).transaction_id for _ in range(49)]
        assert not reads(script.peer), "reading goes on at half, lest it stops and goes with every event"
        taken.append((await anext(connection)).transaction_id)
        assert reads(script.peer)
        most = 0
        while len(taken) < 1000:
            taken.append((await anext(connection)).transaction_id)
            most = max(most, connection.queued)
        assert taken == list(range(1, 1001))
        assert most <= 100


@pytest.mark.usefixtures("frame_by_frame")
async def test_a_queue_of_one(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5, max_queue=1) as connection:
        script.peer.events(1, 50)
        await settle()
        assert connection.queued == 1
        assert [(await anext(connection)).transaction_id for _ in range(50)] == list(range(1, 51))


@pytest.mark.usefixtures("frame_by_frame")
async def test_bytes_are_bounded_too(script: Script, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_QUEUE_BYTES", 100_000)
    assert options.MAX_QUEUE_BYTES == 64 * 2**20
    large = b'{"@type":"Note","text":"' + b"x" * 30_000 + b'"}'
    async with script.connect(alice_key, protocol=V5) as connection:
        for number in range(1, 21):
            script.peer.event(number, large)
        await settle()
        assert not reads(script.peer)
        assert connection.queued == 4
        assert [(await anext(connection)).transaction_id for _ in range(20)] == list(range(1, 21))
        # And the hard bound, while a call is in flight.
        request = asyncio.create_task(connection.request(BALANCE))
        await settle()
        for number in range(21, 41):
            script.peer.event(number, large)
        with pytest.raises(cp.SlowConsumer):
            await request
        assert connection.queued == 14


async def test_a_request_made_inside_the_iteration_gets_its_reply_from_behind_the_events(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol, max_queue=10) as connection:
        script.peer.auto_reply = True
        script.peer.events(1, 200)
        await settle()
        assert not reads(script.peer)
        taken = []
        async for event in connection:
            taken.append(event.transaction_id)
            if event.transaction_id in (1, 100):
                reply = await connection.request(BALANCE)
                assert isinstance(reply, cp.UserBalanceResponse)
            if event.transaction_id == 200:
                break
        assert taken == list(range(1, 201))
        assert connection.is_open


@pytest.mark.usefixtures("frame_by_frame")
async def test_reading_stops_again_when_the_call_is_over(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5, max_queue=10) as connection:
        script.peer.events(1, 50)
        await settle()
        script.peer.auto_reply = True
        await connection.request(BALANCE)
        assert connection.queued == 50
        script.peer.events(51, 200)
        await settle()
        assert not reads(script.peer)
        assert connection.queued == 51


async def test_a_send_inside_the_iteration_is_not_stuck_behind_the_events(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    """An exchange that takes nothing more until we have read: both would wait for ever if we did not read."""
    async with script.connect(alice_key, protocol=protocol, max_queue=10) as connection:
        link = script.peer.client_link
        script.peer.events(1, 60)
        await settle()
        assert not reads(script.peer)
        link.hold_writes = True
        sending = asyncio.create_task(connection.send(cp.CancelAllOrders()))
        requesting = asyncio.create_task(connection.request(BALANCE))
        await script.peer.until(lambda: len(script.peer.messages) == 1)
        await settle()
        assert reads(script.peer)
        assert connection.queued == 60, "all that the exchange had to say was taken"
        link.hold_writes = False
        assert await sending == 1
        await script.peer.until(lambda: len(script.peer.requests) == 1)
        script.peer.reply(1)
        await requesting
        script.peer.events(61, 100)
        await settle()
        assert not reads(script.peer)


@virtual
async def test_a_request_before_which_nothing_can_be_written_ends_by_its_deadline(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.client_link.hold_writes = True
        before = loop.time()
        with pytest.raises(cp.RequestTimeout, match="the network accepted no more data") as caught:
            await connection.request(BALANCE, timeout=3)
        assert loop.time() - before == pytest.approx(3.0)
        assert caught.value.sent is False
        assert script.peer.requests == []


@pytest.mark.usefixtures("frame_by_frame")
async def test_the_hard_bound_ends_the_connection_with_its_position_and_nothing_is_lost(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    last = 5000
    async with script.connect(alice_key, protocol=protocol, max_queue=100) as connection:
        request = asyncio.create_task(connection.request(BALANCE))
        await script.peer.until(lambda: len(script.peer.requests) == 1)
        script.peer.events(1, last)
        with pytest.raises(cp.SlowConsumer, match="take events faster, or resume from the position") as caught:
            await request
        assert caught.value.sent is True
        events, error = await until_raised(connection)
        assert isinstance(error, cp.SlowConsumer)
        taken = [event.transaction_id for event in events]
        position = error.position
        assert position is not None
        assert taken == list(range(1, position + 1))
        assert position == 4 * 100 + 4096
    script.greeting = [lambda peer: peer.events(1, last)]
    async with script.connect(alice_key, protocol=protocol, resume_from=position) as connection:
        while len(taken) < last:
            taken.append((await anext(connection)).transaction_id)
    assert taken == list(range(1, last + 1))


async def test_cancelling_the_iteration_loses_nothing(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        taken: list[int | None] = []
        for number in range(1, 101):
            taking = asyncio.ensure_future(anext(connection))
            if number % 3:
                await asyncio.sleep(0)
            script.peer.event(number)
            for _ in range(number % 5):
                await asyncio.sleep(0)
            taking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                taken.append((await taking).transaction_id)
        await settle()
        while connection.queued:
            taken.append((await anext(connection)).transaction_id)
        assert taken == list(range(1, 101))


# The queue alone, as the client's event stream uses it


def event(number: int, size: int = 10) -> cp.Event:
    return cp.Event(number, 0.0, cp.OrderNotFound(number), 5, bytes(size))


def queue_of(limit: int) -> EventQueue:
    return EventQueue(asyncio.get_running_loop(), limit)


def numbers(events: list[cp.Event]) -> list[int | None]:
    return [event.transaction_id for event in events]


async def test_reads_stay_together() -> None:
    queue = queue_of(10)
    queue.put([event(1), event(2)])
    queue.put([event(3)])
    assert queue.advance()
    assert numbers(queue.take()) == [1, 2]
    assert queue.advance()
    assert numbers(queue.take()) == [3]
    assert not queue.advance()


async def test_what_is_left_of_a_read_is_taken_together() -> None:
    queue = queue_of(10)
    queue.put([event(1), event(2), event(3)])
    assert queue.advance()
    assert queue.front.pop().transaction_id == 1
    assert len(queue) == 2
    assert numbers(queue.take()) == [2, 3]
    assert len(queue) == 0


async def test_reading_pauses_at_the_limit_however_many_come_together() -> None:
    single, many = queue_of(10), queue_of(10)
    for first in range(0, 15, 3):
        events = [event(number) for number in range(first, first + 3)]
        stop = [single.put([each]) for each in events][-1]
        assert many.put(events) is stop is (first + 3 >= 10)
        assert (many.waiting_bytes, many.low, many.was_high) == (single.waiting_bytes, single.low, single.was_high)
    assert len(many) == len(single) == 15
    assert many.waiting_bytes == 150


async def test_the_front_counts_until_it_is_taken() -> None:
    queue = queue_of(4)
    queue.put([event(1), event(2), event(3)])
    lows = [queue.low]
    assert queue.advance()
    lows.append(queue.low)
    queue.front.pop()
    lows.append(queue.low)
    assert lows == [False, False, True]
    assert queue.waiting_bytes == 0, "the bytes are those of the reads behind it"


async def test_many_wake_the_reader() -> None:
    queue = queue_of(10)
    reader = asyncio.create_task(queue.wait())
    await asyncio.sleep(0)
    assert queue.put([event(1), event(2)]) is False
    queue.put([event(3)])  # the reader is awake already
    assert await reader is True
    assert numbers(queue.take()) == [1, 2]


async def test_the_bytes_of_many_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_QUEUE_BYTES", 100)
    queue = queue_of(1000)
    assert queue.put([event(1, 60)]) is False
    assert queue.put([event(2, 40)]) is True
    assert not queue.overflowing
    queue.put([event(3, 300)])
    assert queue.overflowing


async def test_it_becomes_low_once() -> None:
    queue = queue_of(4)
    queue.put([event(number) for number in range(3)])
    assert not queue.has_become_low()
    queue.advance()
    queue.front.pop()
    assert queue.has_become_low()
    assert not queue.has_become_low()


async def test_what_is_put_back_comes_next() -> None:
    queue = queue_of(4)
    queue.put([event(1), event(2), event(3)])
    queue.advance()
    first = queue.front.pop()
    queue.put_back([first])
    assert queue.has_become_low() is False
    taken = queue.take()
    queue.put([event(4)])
    queue.put_back(taken[:2])
    assert queue.was_high, "so the position of the reader is looked at again"
    assert numbers(queue.take()) == [1, 2]
    assert queue.advance()
    assert numbers(queue.take()) == [4]


async def test_a_queue_that_was_cleared_is_empty() -> None:
    queue = queue_of(4)
    queue.put([event(1), event(2)])
    queue.put([event(3)])
    queue.advance()
    queue.clear()
    assert (len(queue), queue.waiting_bytes, queue.advance()) == (0, 0, False)


async def test_the_first_reason_of_the_end_stays() -> None:
    queue = queue_of(4)
    queue.put([event(1)])
    queue.end(lambda: cp.ConnectionClosed(1000, "first"))
    queue.end(None)
    assert await queue.wait() is True
    queue.take()
    with pytest.raises(cp.ConnectionClosed, match="first"):
        await queue.wait()
    ended = queue_of(4)
    reader = asyncio.create_task(ended.wait())
    await asyncio.sleep(0)
    ended.end(None)
    ended.end(lambda: cp.ConnectionClosed(1000, "second"))  # the reader is awake already
    assert await reader is False


async def test_one_reader_at_a_time() -> None:
    queue = queue_of(4)
    first = asyncio.create_task(queue.wait())
    await asyncio.sleep(0)
    with pytest.raises(cp.ConfigurationError, match="let one task iterate and pass the events on"):
        await queue.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    queue.put([event(1)])
    assert await queue.wait() is True


async def test_iterating_takes_nothing() -> None:
    queue = EventQueue(asyncio.get_running_loop(), 10)
    events = [cp.Event(number, None, cp.Unknown("", {}), 0, b"") for number in range(5)]
    queue.put(events[:2])
    queue.advance()
    queue.put(events[2:])
    assert list(queue) == events
    assert len(queue) == 5
