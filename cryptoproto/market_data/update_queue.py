"""The queue between feed and iteration: the newest book of each pair, and trades in order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TypeAlias

from ..exceptions import ConfigurationError
from ..messages import (
    AnonymousTrade,
    OrderBookAgg,
    TradesDisabledOnPairs,
    TradesEnabledOnPairs,
    TradingRules,
    Unknown,
)

__all__ = ["MarketUpdate", "UpdateQueue"]

MarketUpdate: TypeAlias = (
    OrderBookAgg | AnonymousTrade | TradesEnabledOnPairs | TradesDisabledOnPairs | TradingRules | Unknown
)
"""What an iteration over the feed yields."""


class UpdateQueue:
    """A queue with one reader, whose writer never waits and whose size is bounded.

    A book replaces a queued book of the same pair, so a slow reader gets fewer books, each the newest. All other
    updates are kept in order, up to *limit*; beyond it the oldest is dropped and counted.

    Attributes:
        dropped: how many updates were dropped because the reader was too slow, not counting books.
    """

    __slots__ = ("_books", "_ended", "_error", "_limit", "_next", "_others", "_waiter", "dropped")

    def __init__(self, limit: int) -> None:
        self.dropped: int = 0
        self._limit = limit
        self._next = 0  # each place in the queue is numbered, so that books and other updates stay in order
        # An OrderedDict: finding the first key of a dict gets slower with each key deleted before it.
        self._books: OrderedDict[str, tuple[int, OrderBookAgg]] = OrderedDict()
        self._others: deque[tuple[int, MarketUpdate]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._books) + len(self._others)

    def put(self, update: MarketUpdate) -> None:
        """Add an update and wake the reader."""
        self._next += 1
        if isinstance(update, OrderBookAgg):
            waiting = self._books.get(update.trade_pair)
            self._books[update.trade_pair] = (self._next if waiting is None else waiting[0], update)
        else:
            if len(self._others) >= self._limit:
                self._others.popleft()
                self.dropped += 1
            self._others.append((self._next, update))
        self._wake()

    def drop_books(self) -> None:
        """Drop queued books: the connection was lost, so they are out of date."""
        self._books.clear()

    def pop(self) -> MarketUpdate:
        """The next update; raises IndexError if the queue is empty."""
        if self._books:
            pair = next(iter(self._books))
            if not self._others or self._books[pair][0] < self._others[0][0]:
                return self._books.pop(pair)[1]
        return self._others.popleft()[1]

    def end(self, error: Exception | None) -> None:
        """End the queue: once it is empty, the reader gets *error*, or the end of the iteration if it is ``None``."""
        self._ended = True
        self._error = error
        self._wake()

    async def wait(self) -> bool:
        """Wait for an update. Cancelling loses nothing.

        Returns:
            True when there is an update, false when the queue has ended without an error.

        Raises:
            CryptoprotoError: the error that the queue ended with.
            ConfigurationError: another task is already waiting.
        """
        while not len(self):
            if self._ended:
                if self._error is not None:
                    raise self._error
                return False
            if self._waiter is not None:
                raise ConfigurationError(
                    "another task is already iterating over this feed; let one task iterate and pass the updates on"
                )
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
