"""The queue between the feed and its iteration."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from cryptoproto.market_data.update_queue import MarketUpdate, UpdateQueue
from tests.support.scripted_feed import book, disabled, trade


def drain(queue: UpdateQueue) -> list[object]:
    return [queue.pop() for _ in range(len(queue))]


async def test_books_and_other_updates_keep_their_order() -> None:
    queue = UpdateQueue(10)
    updates: list[MarketUpdate] = [trade(1), book(1), disabled("BTC_USD"), book(1, pair="ETH_USD"), trade(2)]
    for update in updates:
        queue.put(update)
    assert drain(queue) == updates
    with pytest.raises(IndexError):
        queue.pop()


async def test_a_book_replaces_the_queued_book_of_its_pair_in_its_place() -> None:
    queue = UpdateQueue(10)
    for update in (book(1), book(1, pair="ETH_USD"), trade(1), book(2)):
        queue.put(update)
    assert drain(queue) == [book(2), book(1, pair="ETH_USD"), trade(1)]
    assert queue.dropped == 0


async def test_beyond_the_limit_the_oldest_is_dropped_and_counted() -> None:
    queue = UpdateQueue(2)
    for update in (trade(1), book(1), trade(2), trade(3), trade(4)):
        queue.put(update)
    assert drain(queue) == [book(1), trade(3), trade(4)]
    assert queue.dropped == 2


async def test_books_are_dropped_with_their_connection_and_trades_are_not() -> None:
    queue = UpdateQueue(2)
    queue.put(book(1))
    queue.put(trade(1))
    queue.drop_books()
    assert drain(queue) == [trade(1)]


async def test_a_waiting_reader_is_woken_by_an_update() -> None:
    queue = UpdateQueue(2)
    waiting = asyncio.ensure_future(queue.wait())
    await asyncio.sleep(0)
    queue.put(trade(1))
    queue.put(trade(2))
    assert await waiting
    assert await queue.wait()
    assert drain(queue) == [trade(1), trade(2)]


async def test_a_second_reader_is_refused_and_a_cancelled_one_makes_room() -> None:
    queue = UpdateQueue(2)
    waiting = asyncio.ensure_future(queue.wait())
    await asyncio.sleep(0)
    with pytest.raises(cp.ConfigurationError, match="another task is already iterating"):
        await queue.wait()
    waiting.cancel()
    await asyncio.wait([waiting])
    queue.put(trade(1))
    assert await queue.wait()


async def test_the_end_comes_after_the_queued_updates() -> None:
    queue = UpdateQueue(2)
    queue.put(trade(1))
    queue.end(None)
    assert await queue.wait()
    queue.pop()
    assert not await queue.wait()


async def test_an_error_at_the_end_reaches_a_waiting_reader() -> None:
    queue = UpdateQueue(2)
    waiting = asyncio.ensure_future(queue.wait())
    await asyncio.sleep(0)
    queue.end(cp.UnsupportedVersion("version 2"))
    with pytest.raises(cp.UnsupportedVersion, match="version 2"):
        await waiting
