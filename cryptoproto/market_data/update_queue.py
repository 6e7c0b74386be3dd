"""What the market-data feed has for the user: the newest book of each pair, and the trades as they came."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TypeAlias

from ..exceptions import ConfigurationError
from ..messages import AnonymousTrade, OrderBookAgg, TradesDisabledOnPairs, TradesEnabledOnPairs, Unknown

__all__ = ["MarketUpdate", "UpdateQueue"]

MarketUpdate: TypeAlias = OrderBookAgg | AnonymousTrade | TradesEnabledOnPairs | TradesDisabledOnPairs | Unknown
"""What the feed tells."""


class UpdateQueue:
    """A queue with one reader, which never makes the writer wait and never grows without bound.

    A book takes the place of the one of the same pair that still waits, so a slow reader gets fewer books, and each
    as new as can be. Everything else is kept in order up to *limit*; then the oldest goes and is counted.

    Attributes:
        dropped: how many updates were given up because the reader was too slow; books do not count.
    """

    __slots__ = ("_books", "_ended", "_error", "_limit", "_next", "_others", "_waiter", "dropped")

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        self._limit = limit
        self._next = 0  # every place in the queue has a number, so that the two kinds stay in order
        # An OrderedDict, because finding the first key of a dict gets slower with each one deleted before it.
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
        """Forget the books that wait: the link they came over is lost, and with it what they say."""
        self._books.clear()

    def pop(self) -> MarketUpdate:
        """The update whose turn it is; IndexError when there is none."""
        if self._books:
            pair = next(iter(self._books))
            if not self._others or self._books[pair][0] < self._others[0][0]:
                return self._books.pop(pair)[1]
        return self._others.popleft()[1]

    def end(self, error: Exception | None) -> None:
        """No more comes. Once the queue is empty, the reader gets *error*, or the end of the iteration."""
        self._ended = True
        self._error = error
        self._wake()

    async def wait(self) -> bool:
        """Wait until there is an update: true; false where the end was asked for.

        Cancelling loses nothing.

        Raises:
            CryptoprotoError: what the feed ended with.
            ConfigurationError: another task is waiting already.
        """
        while not len(self):
            if self._ended:
                if self._error is not None:
                    raise self._error
                return False
            if self._waiter is not None:
                raise ConfigurationError(
                    "another task is iterating over this feed already; let one task iterate and hand updates on"
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
