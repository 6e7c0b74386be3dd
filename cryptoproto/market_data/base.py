"""What every feed of market data offers its readers, wherever the updates come from."""

from __future__ import annotations

import asyncio
import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from time import time_ns
from types import MappingProxyType, TracebackType
from typing import Final, Protocol, Self

from ..exceptions import ConfigurationError, ConnectionClosed, CryptoprotoError, RequestTimeout
from ..instruments import Instrument
from ..messages import AnonymousTrade, OrderBookAgg
from ..reconnect.state_stream import StateStream
from ..reconnect.subscription import Subscription
from .book import BookSide, OrderBook
from .pairs import Pairs
from .states import FeedState, FeedStateChange
from .update_queue import MarketUpdate, UpdateQueue

__all__ = ["Feed", "FeedObserver"]

logger: logging.Logger = logging.getLogger("cryptoproto.market_data")

_PAIRS_SHOWN: Final = 3


class FeedObserver(Protocol):
    """What :meth:`Feed.attach` accepts. Its methods are called in the event loop and must not raise."""

    def on_update(self, update: MarketUpdate) -> None:
        """An update was received; the books of the feed include it."""

    def on_state(self, change: FeedStateChange) -> None:
        """The feed entered a state. Books are stale unless it is LIVE."""


class Feed(ABC):
    """What all feeds have in common: books, last trades, states, and an iteration over the updates.

    :class:`~cryptoproto.MarketData` receives the updates from an exchange, :class:`~cryptoproto.Replay` reads them from
    a recording. A bot that takes a ``Feed`` works with both.

    Args:
        name: where the updates come from, for logs.
        pairs: the pairs to keep; ``None`` = all.
        max_queue: how many trades and broadcasts may be queued for the iteration.
        time: a monotonic clock in seconds; the age of books is measured by it.

    Raises:
        ConfigurationError: *pairs* is a string.
    """

    def __init__(self, name: str, *, pairs: Iterable[str] | None, max_queue: int, time: Callable[[], float]) -> None:
        self._name = name
        self._pairs = Pairs(pairs)
        self._time = time
        self._states = StateStream(FeedStateChange(FeedState.IDLE, "not started"))
        self._queue = UpdateQueue(max_queue)
        self._books: dict[str, OrderBook] = {}
        self._crossed = 0
        self._started = False
        self._connections = 0
        self._observers: tuple[FeedObserver, ...] = ()

    # Market data

    def book(self, trade_pair: str) -> OrderBook:
        """The book of a pair: always the same object, stale and empty until a snapshot arrives.

        Raises:
            ConfigurationError: the pair is not among the *pairs* of this feed.
        """
        book = self._books.get(trade_pair)
        if book is None:
            self._pairs.check_kept(trade_pair)
            book = self._books[trade_pair] = OrderBook(trade_pair, time=self._time)
        return book

    @property
    def books(self) -> Mapping[str, OrderBook]:
        """All books by pair, as a live view: those that the exchange has sent, and those that were asked for."""
        return MappingProxyType(self._books)

    def last_trade(self, trade_pair: str) -> AnonymousTrade | None:
        """The newest trade received for a pair, ``None`` before the first; it is kept during a disconnect.

        Raises:
            ConfigurationError: the pair is not among the *pairs* of this feed.
        """
        self._pairs.check_kept(trade_pair)
        return self._pairs.trades.get(trade_pair)

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """The rules of the kept pairs, by pair, as last published: a live view, kept during a disconnect.

        The exchange of this package publishes them when the feed connects, before the books, and when they change.
        Others may not: then this is empty.
        """
        return MappingProxyType(self._pairs.instruments)

    @property
    def enabled_pairs(self) -> frozenset[str]:
        """The pairs on which a broadcast enabled trading since the feed connected.

        The server does not send this on connecting, so most pairs are in neither set. Both are cleared on disconnect.
        """
        return frozenset(self._pairs.enabled)

    @property
    def disabled_pairs(self) -> frozenset[str]:
        """The pairs on which a broadcast disabled trading since the feed connected; see :attr:`enabled_pairs`."""
        return frozenset(self._pairs.disabled)

    # State

    @property
    def state(self) -> FeedStateChange:
        """The current state of the feed, and why."""
        return self._states.current

    @property
    def is_connected(self) -> bool:
        """Whether the feed is connected."""
        return self._states.current.state is FeedState.LIVE

    def states(self) -> Subscription[FeedStateChange]:
        """The current state and every later one until the feed is closed. Any number of tasks can iterate.

        Cancelling loses nothing. A reader that is more than 64 states behind misses the oldest.
        """
        return self._states.subscribe()

    @property
    def connections(self) -> int:
        """How often the feed has connected. Each time after the first, trades may have been missed."""
        return self._connections

    @property
    def dropped(self) -> int:
        """How many trades and broadcasts were dropped because the iteration was too slow."""
        return self._queue.dropped

    @property
    def queued(self) -> int:
        """How many updates are queued for the iteration."""
        return len(self._queue)

    @property
    def crossed_books(self) -> int:
        """How often a book became crossed; each time is logged. See :attr:`OrderBook.is_crossed`."""
        return self._crossed

    # Waiting

    async def wait_book(self, trade_pair: str, *, timeout: float | None = None) -> OrderBook:
        """Wait until the book of a pair is not stale, and return it. Cancelling changes nothing.

        Raises:
            RequestTimeout: no snapshot came within *timeout* seconds. The feed continues.
            ConfigurationError: the feed was not started, or the pair is not among the *pairs* of this feed.
            ConnectionClosed, UnsupportedVersion: the feed was closed or ended by itself, before the call or during it.
        """
        book = self.book(trade_pair)
        await self._wait_until(lambda: not book.is_stale, timeout, f"no book of {trade_pair} was received")
        return book

    async def wait_connected(self, *, timeout: float | None = None) -> None:
        """Wait until the feed is connected; raises as :meth:`wait_book`. Cancelling changes nothing."""
        await self._wait_until(lambda: self.is_connected, timeout, "no connection was made")

    async def _wait_until(self, done: Callable[[], bool], timeout: float | None, otherwise: str) -> None:
        self._check_started()
        try:
            async with asyncio.timeout(timeout):
                while not done():
                    if self._states.ended:
                        raise self._final_error() or ConnectionClosed(None, "the feed was closed by this end")
                    await self._states.changed()
        except TimeoutError:
            state = self._states.current
            words = f"{state.state.value}: {state.error}" if state.error else state.state.value
            raise RequestTimeout(f"{otherwise} within {timeout:g} s; the feed is {words}") from None

    # Iterating

    def __aiter__(self) -> AsyncIterator[MarketUpdate]:
        return self

    async def __anext__(self) -> MarketUpdate:
        """The next update. Cancelling loses nothing."""
        if not len(self._queue):
            self._check_started()
            if not await self._queue.wait():
                raise StopAsyncIteration
        return self._queue.pop()

    @property
    def source(self) -> str:
        """Where the updates come from: an address, without a password in it, or a file."""
        return self._name

    @property
    def pairs(self) -> frozenset[str] | None:
        """The pairs that are kept; ``None`` = all."""
        return self._pairs.kept

    def time_ns(self) -> int:
        """Unix time in nanoseconds on the clock of the feed: that of this machine, or of a replay."""
        return time_ns()

    # Observers

    def attach(self, observer: FeedObserver) -> None:
        """Call *observer* with every update and every state: at once, in order, and before books are conflated.

        Its calls delay the feed, so they should be short. The current state is not repeated.
        """
        self._observers = (*self._observers, observer)

    def detach(self, observer: FeedObserver) -> None:
        """Stop calling *observer*. Idempotent."""
        self._observers = tuple(each for each in self._observers if each is not observer)

    def __repr__(self) -> str:
        pairs = sorted(self._books if self._pairs.kept is None else self._pairs.kept)
        tops = ""
        for pair in pairs[:_PAIRS_SHOWN]:
            tops += f", {pair} {self._books[pair].top if pair in self._books else 'stale'}"
        more = f", and {len(pairs) - _PAIRS_SHOWN} more pairs" if len(pairs) > _PAIRS_SHOWN else ""
        return f"<{type(self).__name__} {self._name}, {self._states.current.state.value}{tops}{more}>"

    # Starting and closing

    @abstractmethod
    def start(self) -> None:
        """Start the feed; ``async with`` does this.

        Raises:
            ConfigurationError: the feed was started before.
        """

    @abstractmethod
    async def close(self) -> None:
        """Close the feed. Idempotent."""

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # For subclasses

    def _begin(self) -> None:
        if self._started or self._states.ended:
            raise ConfigurationError(f"a feed can be started only once; create another {type(self).__name__}")
        self._started = True

    def _enter(self, change: FeedStateChange, *, last: bool = False) -> None:
        if change.state is FeedState.LIVE:
            self._connections += 1
        self._states.publish(change, last=last)
        for observer in self._observers:
            observer.on_state(change)

    def _on_update(self, update: MarketUpdate) -> None:
        """Take in an update from an exchange, and queue it for the iteration."""
        if self._take(update):
            self._deliver(update)

    def _deliver(self, update: MarketUpdate) -> None:
        for observer in self._observers:
            observer.on_update(update)
        self._queue.put(update)
        self._states.notify()

    def _take(self, update: MarketUpdate) -> bool:
        """Bring books and pairs up to date; false for what a reader does not get."""
        if isinstance(update, OrderBookAgg):
            return self._pairs.keeps(update.trade_pair) and self._on_snapshot(update)
        return self._pairs.apply(update)

    def _on_snapshot(self, snapshot: OrderBookAgg) -> bool:
        book = self.book(snapshot.trade_pair)
        was_crossed = book.is_crossed
        if not book.apply(snapshot):
            logger.warning(
                "%s: ignored a late snapshot of %s: order id %d after %d",
                self._name, snapshot.trade_pair, snapshot.current_order_id, book.current_order_id,
            )  # fmt: skip
            return False
        if book.is_crossed and not was_crossed:
            self._on_crossed(book)
        return True

    def _on_levels(self, trade_pair: str, order_id: int, bids: BookSide, asks: BookSide) -> None:
        """Take in a book that a feed has accepted before."""
        book = self._books.get(trade_pair) or self.book(trade_pair)
        was_crossed = book.is_crossed
        book.restore(order_id, bids, asks)
        if book.is_crossed and not was_crossed:
            self._on_crossed(book)

    def _on_crossed(self, book: OrderBook) -> None:
        self._crossed += 1
        logger.warning("%s: crossed book: %r", self._name, book)

    def _forget(self) -> None:
        """Clear what is only known to be true while connected."""
        for book in self._books.values():
            book.clear()
        self._queue.drop_books()
        self._pairs.forget()

    def _end(self, error: Exception | None, attempt: int = 0, *, reason: str = "closed by this end") -> None:
        if not self._states.ended:
            self._forget()
            if error is not None:
                reason = str(error)
            self._enter(FeedStateChange(FeedState.CLOSED, reason, attempt, error=error), last=True)
            self._queue.end(self._final_error())

    def _final_error(self) -> Exception | None:
        """A copy of the error that ended the feed: one shared by all callers would collect all their tracebacks."""
        error = self._states.current.error
        if not isinstance(error, CryptoprotoError):
            return error
        own = copy.copy(error)
        own.__cause__ = error.__cause__
        return own

    def _check_started(self) -> None:
        if not self._started and not self._states.ended:
            raise ConfigurationError("the feed has not been started: use `async with`")
