"""A feed that repeats what another feed has delivered, and has no access to what comes later."""

from __future__ import annotations

from collections.abc import Callable

from ..market_data import Feed, FeedState, FeedStateChange, MarketUpdate
from ..messages import OrderBookAgg
from .changes import Side
from .recorded_clock import RecordedClock

__all__ = ["MirrorFeed", "Mirrors"]


class MirrorFeed(Feed):
    """The feed of a bot in a backtest. It has no reference to the feed that it repeats, so a bot cannot look ahead.

    Args:
        source: where the updates come from, for logs.
        pairs: the pairs of the feed; ``None`` = all.
        max_queue: how many trades and broadcasts may be queued for the iteration.
        clock: Unix time in nanoseconds.
    """

    def __init__(
        self, source: str, *, pairs: frozenset[str] | None, max_queue: int = 10_000, clock: Callable[[], int]
    ) -> None:
        begin_ns = clock()  # seconds since 1970 as a float would lose digits
        super().__init__(source, pairs=pairs, max_queue=max_queue, time=lambda: (clock() - begin_ns) / 1e9)
        self._clock = clock

    def time_ns(self) -> int:
        """See :class:`Feed`."""
        return self._clock()

    def start(self) -> None:
        """See :class:`Feed`."""
        self._begin()

    async def close(self) -> None:
        """See :class:`Feed`."""
        self._end(None)

    def repeat(self, update: MarketUpdate, levels: tuple[Side, Side] | None) -> None:
        """Take in an update that was checked before, a book with its sorted *levels*."""
        if self._states.ended:
            return
        if isinstance(update, OrderBookAgg) and levels is not None:
            self._on_levels(update.trade_pair, update.current_order_id, *levels)
        else:
            self._take(update)
        self._deliver(update)

    def enter(self, change: FeedStateChange) -> None:
        """Enter the state that the other feed has entered."""
        if change.state is FeedState.CLOSED:
            self._end(change.error, reason=change.reason)
            return
        if change.state is not FeedState.LIVE:
            self._forget()
        self._enter(change)


class Mirrors:
    """Passes on what a feed delivers to mirrors, in their order. A mirror has no reference to the feed.

    Args:
        feed: the feed to attach this observer to.
        clock: begins with the feed.
        mirrors: what repeats it.
    """

    def __init__(self, feed: Feed, clock: RecordedClock, *mirrors: MirrorFeed) -> None:
        self._feed = feed
        self._clock = clock
        self._mirrors = mirrors

    def on_update(self, update: MarketUpdate) -> None:
        """See :class:`~cryptoproto.FeedObserver`."""
        self._begin()
        levels = None
        if isinstance(update, OrderBookAgg):
            book = self._feed.book(update.trade_pair)
            levels = book.bids, book.asks
        for mirror in self._mirrors:
            mirror.repeat(update, levels)

    def on_state(self, change: FeedStateChange) -> None:
        """See :class:`~cryptoproto.FeedObserver`."""
        if change.state is not FeedState.CONNECTING:
            self._begin()
        for mirror in self._mirrors:
            mirror.enter(change)

    def _begin(self) -> None:
        if not self._clock.has_begun:
            self._clock.begin(self._feed.time_ns())
