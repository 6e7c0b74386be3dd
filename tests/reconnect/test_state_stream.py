"""One stream of states: the current one first, then every change, to any number of readers."""

from __future__ import annotations

import asyncio

from cryptoproto.reconnect import StateStream


async def test_a_reader_gets_the_current_state_and_every_change_after_it() -> None:
    states = StateStream("idle")
    early = states.subscribe()
    states.publish("connecting")
    late = states.subscribe()
    states.publish("live")
    states.publish("closed", last=True)
    assert [state async for state in early] == ["idle", "connecting", "live", "closed"]
    assert [state async for state in late] == ["connecting", "live", "closed"]


async def test_nothing_follows_the_last_state() -> None:
    states = StateStream("live")
    states.publish("closed", last=True)
    states.publish("live")
    assert states.ended
    assert states.current == "closed"
    assert [state async for state in states.subscribe()] == ["closed"]


async def test_a_slow_reader_misses_the_oldest_states_and_never_the_newest() -> None:
    states = StateStream(0)
    reader = states.subscribe()
    for number in range(1, 1000):
        states.publish(number)
    states.publish(1000, last=True)
    assert [state async for state in reader] == list(range(937, 1001))


async def test_changed_wakes_once_for_each_change_and_not_for_earlier_ones() -> None:
    states = StateStream("idle")
    states.publish("connecting")
    waiter = asyncio.ensure_future(states.changed())
    await asyncio.sleep(0)
    assert not waiter.done()
    states.publish("live")
    await waiter
    waiter = asyncio.ensure_future(states.changed())
    await asyncio.sleep(0)
    states.notify()
    await waiter


async def test_a_closed_reader_ends_and_is_forgotten() -> None:
    states = StateStream("idle")
    reader = states.subscribe()
    reader.close()
    states.publish("live")
    assert [state async for state in reader] == ["idle"]


async def test_a_stream_can_end_with_the_state_that_it_has() -> None:
    states = StateStream("idle")
    reader = states.subscribe()
    states.publish("live")
    waiter = asyncio.ensure_future(states.changed())
    await asyncio.sleep(0)
    states.end()
    await waiter
    states.publish("idle")
    assert states.ended
    assert states.current == "live"
    assert [state async for state in reader] == ["idle", "live"]
    assert [state async for state in states.subscribe()] == ["live"]
