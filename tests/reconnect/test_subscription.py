"""A stream of items for any number of readers."""

from __future__ import annotations

import asyncio

from cryptoproto.reconnect import Channel


async def test_each_reader_gets_every_item() -> None:
    channel: Channel[int] = Channel()
    one, two = channel.subscribe(), channel.subscribe(0)
    channel.publish(1)
    channel.publish(2)
    channel.end()
    assert [item async for item in one] == [1, 2]
    assert [item async for item in two] == [0, 1, 2]


async def test_a_waiting_reader_is_woken_by_an_item_and_by_the_end() -> None:
    channel: Channel[int] = Channel()
    reader = channel.subscribe()
    waiting = asyncio.ensure_future(anext(reader, None))
    await asyncio.sleep(0)
    channel.publish(1)
    assert await waiting == 1
    waiting = asyncio.ensure_future(anext(reader, None))
    await asyncio.sleep(0)
    channel.end()
    assert await waiting is None


async def test_a_slow_reader_misses_the_oldest_items() -> None:
    channel: Channel[int] = Channel(kept=3)
    reader = channel.subscribe()
    for item in range(10):
        channel.publish(item)
    channel.end()
    assert [item async for item in reader] == [7, 8, 9]


async def test_a_reader_that_comes_after_the_end_gets_only_its_first_items() -> None:
    channel: Channel[int] = Channel()
    channel.publish(1)
    channel.end()
    assert [item async for item in channel.subscribe(5)] == [5]
    assert [item async for item in channel.subscribe()] == []


async def test_a_closed_reader_keeps_its_queued_items_and_gets_no_more() -> None:
    channel: Channel[int] = Channel()
    reader = channel.subscribe()
    channel.publish(1)
    reader.close()
    reader.close()
    channel.publish(2)
    assert [item async for item in reader] == [1]


async def test_cancelling_loses_nothing() -> None:
    channel: Channel[int] = Channel()
    reader = channel.subscribe()
    waiting = asyncio.ensure_future(anext(reader, None))
    await asyncio.sleep(0)
    channel.publish(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert await anext(reader) == 1
