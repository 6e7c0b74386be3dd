"""``MarketData`` without ``await``."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from types import TracebackType
from typing import Self, TypeVar, Unpack

from .. import market_data as asynchronous
from ..instruments import Instrument
from ..market_data import FeedArguments, FeedOverrides, FeedStateChange, MarketUpdate, OrderBook, feed_arguments
from ..messages import AnonymousTrade
from ..profiles import Profile
from ..reconnect import Backoff
from .loop_thread import LoopThread
from .stream import Stream

__all__ = ["MarketData"]

T = TypeVar("T")

_CLOSE_TIMEOUT_S = 5.0


class MarketData:
    """The public feed, with the arguments and methods of :class:`cryptoproto.MarketData`.

    Books are copies: a book that you hold does not change. For current prices, write
    ``feed.book("BTC_USD").best_bid`` each time.
    """

    def __init__(
        self,
        url: str,
        *,
        pairs: Iterable[str] | None = None,
        backoff: Backoff | None = None,
        time: Callable[[], float] = monotonic,
        **options: Unpack[FeedArguments],
    ) -> None:
        self._feed = asynchronous.MarketData(url, pairs=pairs, backoff=backoff, time=time, **options)
        self._thread = LoopThread("feed")
        self._updates: Stream[MarketUpdate] | None = None

    @classmethod
    def from_profile(
        cls, name: str, *, path: str | os.PathLike[str] | None = None, **overrides: Unpack[FeedOverrides]
    ) -> Self:
        """A feed for a profile; see :meth:`cryptoproto.MarketData.from_profile`."""
        return cls(**feed_arguments(Profile.load(name, path=path), **overrides))

    @classmethod
    def from_env(cls, **overrides: Unpack[FeedOverrides]) -> Self:
        """A feed for the variables ``CRYPTOPROTO_*``; see :meth:`cryptoproto.MarketData.from_env`."""
        return cls(**feed_arguments(Profile.from_env(), **overrides))

    def start(self) -> None:
        """Start to connect; ``with`` calls it."""
        self._thread.start()
        self._thread.call(self._feed.start)

    def close(self, timeout: float = _CLOSE_TIMEOUT_S) -> None:
        """Close the feed within *timeout* seconds, and end the thread. Idempotent."""
        self._thread.close(lambda: self._feed.close(timeout), timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self._thread.abandon(self._feed.close, _CLOSE_TIMEOUT_S)

    # What is known

    def book(self, trade_pair: str) -> OrderBook:
        """A copy of the current book of a pair."""
        return self._now(lambda: copy.copy(self._feed.book(trade_pair)))

    @property
    def books(self) -> Mapping[str, OrderBook]:
        """Copies of all current books, by pair."""
        return self._now(lambda: {pair: copy.copy(book) for pair, book in self._feed.books.items()})

    def last_trade(self, trade_pair: str) -> AnonymousTrade | None:
        """The latest trade of a pair; ``None`` before the first."""
        return self._feed.last_trade(trade_pair)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The rules of the kept pairs, by pair, as last published."""
        return self._feed.instruments

    @property
    def enabled_pairs(self) -> frozenset[str]:
        """The pairs that a broadcast on this connection enabled for trading."""
        return self._now(lambda: self._feed.enabled_pairs)

    @property
    def disabled_pairs(self) -> frozenset[str]:
        """The pairs that a broadcast on this connection disabled for trading."""
        return self._now(lambda: self._feed.disabled_pairs)

    # Its state

    @property
    def state(self) -> FeedStateChange:
        """The current state of the feed."""
        return self._feed.state

    @property
    def is_connected(self) -> bool:
        """Whether the feed is connected."""
        return self._feed.is_connected

    @property
    def connections(self) -> int:
        """How many times the feed has connected."""
        return self._feed.connections

    @property
    def dropped(self) -> int:
        """How many trades and broadcasts were dropped because the iteration was too slow."""
        return self._feed.dropped

    @property
    def queued(self) -> int:
        """How many updates are waiting to be read."""
        return self._feed.queued

    @property
    def crossed_books(self) -> int:
        """How many times a book became crossed."""
        return self._feed.crossed_books

    @property
    def source(self) -> str:
        """The address, without a password in it."""
        return self._feed.source

    @property
    def pairs(self) -> frozenset[str] | None:
        """The pairs that are kept; ``None`` = all."""
        return self._feed.pairs

    def time_ns(self) -> int:
        """Unix time in nanoseconds on the clock of the feed."""
        return self._feed.time_ns()

    # Waiting and iterating

    def wait_book(self, trade_pair: str, *, timeout: float | None = None) -> OrderBook:
        """A copy of the book of a pair, once it is not stale; see :meth:`cryptoproto.MarketData.wait_book`."""

        async def waiting() -> OrderBook:
            return copy.copy(await self._feed.wait_book(trade_pair, timeout=timeout))

        return self._thread.run(waiting)

    def wait_connected(self, *, timeout: float | None = None) -> None:
        """Wait until the feed is connected; see :meth:`cryptoproto.MarketData.wait_connected`."""
        self._thread.run(lambda: self._feed.wait_connected(timeout=timeout))

    def updates(self, *, timeout: float | None = None) -> Stream[MarketUpdate]:
        """The updates; with *timeout*, the iteration ends after so many seconds without one."""
        return Stream(self._thread, self._feed.__aiter__, "updates", timeout=timeout)

    def states(self, *, timeout: float | None = None) -> Stream[FeedStateChange]:
        """The current state and every later one; *timeout* as for :meth:`updates`."""
        return Stream(self._thread, self._feed.states, "states", timeout=timeout)

    def __iter__(self) -> Stream[MarketUpdate]:
        if self._updates is None:
            self._updates = self.updates()
        return self._updates

    def _now(self, function: Callable[[], T]) -> T:
        return self._thread.call(function) if self._thread.is_running else function()

    def __repr__(self) -> str:
        return repr(self._feed).replace("<", "<sync.", 1)
