"""What all feeds have in common."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.market_data import FeedStateChange, MarketUpdate
from tests.support.recordings import PushFeed
from tests.support.scripted_feed import book, trade


class Observer:
    def __init__(self) -> None:
        self.updates: list[MarketUpdate] = []
        self.states: list[cp.FeedState] = []

    def on_update(self, update: MarketUpdate) -> None:
        self.updates.append(update)

    def on_state(self, change: FeedStateChange) -> None:
        self.states.append(change.state)


async def test_an_observer_gets_every_update_before_books_are_conflated() -> None:
    first, second = Observer(), Observer()
    async with PushFeed(pairs=["BTC_USD"]) as feed:
        feed.attach(first)
        feed.attach(second)
        given: list[MarketUpdate] = [book(1), book(2), trade(3)]
        feed.push(*given, book(1), book(4, pair="ETH_USD"))  # one late, one of another pair
        assert first.updates == second.updates == given
        assert feed.queued == 2
        feed.detach(first)
        feed.detach(first)
        feed.push(trade(5))
        feed.disconnect(cp.ConnectionClosed(1006, ""))
        feed.connect()
    assert first.updates == given
    assert first.states == []
    assert second.updates == [*given, trade(5)]
    assert second.states == [cp.FeedState.WAITING, cp.FeedState.LIVE, cp.FeedState.CLOSED]
    assert feed.connections == 2


async def test_the_books_of_a_feed_include_the_update_that_an_observer_gets() -> None:
    seen = []

    class Looking(Observer):
        def on_update(self, update: MarketUpdate) -> None:
            seen.append(feed.book("BTC_USD").current_order_id)

    async with PushFeed() as feed:
        feed.attach(Looking())
        feed.push(book(1), book(2))
    assert seen == [1, 2]


async def test_a_feed_says_where_its_updates_come_from() -> None:
    feed = PushFeed(pairs=["BTC_USD"])
    assert feed.source == "ws://localhost"
    assert feed.pairs == frozenset(["BTC_USD"])
    assert PushFeed().pairs is None


def test_the_base_alone_cannot_be_created() -> None:
    with pytest.raises(TypeError, match=r"abstract methods '?close'?, '?start'?"):
        cp.Feed("nowhere", pairs=None, max_queue=1, time=lambda: 0.0)  # type: ignore[abstract]


async def test_a_recorded_book_is_never_late() -> None:
    async with PushFeed() as feed:
        feed.push(book(9))
        feed._on_levels("BTC_USD", 3, (), ())
        assert feed.book("BTC_USD").current_order_id == 3
        assert feed.crossed_books == 0
