"""The public market-data feed, which reconnects by itself: books, trades, and which pairs are traded."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from time import monotonic
from types import MappingProxyType, TracebackType
from typing import Final, Self, Unpack

from ..arguments import redacted
from ..exceptions import ConfigurationError, ConnectionClosed, CryptoprotoError, RequestTimeout, UnsupportedVersion
from ..instruments import Instrument
from ..messages import AnonymousTrade, OrderBookAgg
from ..profiles import Profile
from ..reconnect.backoff import Backoff
from ..reconnect.reachability import announce
from ..reconnect.state_stream import StateStream
from ..reconnect.subscription import Subscription
from .arguments import FeedArguments, FeedOverrides, feed_arguments
from .book import OrderBook
from .link import FeedLink, FeedOptions
from .pairs import Pairs
from .states import FeedState, FeedStateChange
from .update_queue import MarketUpdate, UpdateQueue

__all__ = ["MarketData"]

logger: logging.Logger = logging.getLogger("cryptoproto.market_data")

_CLOSE_TIMEOUT: Final = 5.0
_HEALTHY_AFTER: Final = 10.0
"""Seconds that a connection has to last before the backoff is reset: one heartbeat timeout. A server that accepts
connections and drops them at once is then not asked twice a second for ever."""
_PAIRS_SHOWN: Final = 3


class MarketData:
    """The public feed of an exchange, which reconnects by itself.

    ::

        async with cp.MarketData("wss://marketdata.example.com") as feed:
            async for update in feed:
                ...
            feed.book("BTC_USD").best_bid

    ``async with`` does not wait for the connection. Books are kept up to date even if nothing iterates over the feed.
    The iteration ends after :meth:`close`. It raises the error if the feed ended by itself: the server speaks an
    unsupported version of market data, or the address cannot be used. After all other errors, malformed frames
    included, the feed reconnects.

    There is no replay: trades during a disconnect are missed. A slow iteration gets fewer books, each the newest. Of
    other updates, at most *max_queue* are kept; the oldest are dropped, and :attr:`dropped` counts them.

    Args:
        url: ``wss://host[:port][/path]``; ``ws://`` only to a loopback address unless *insecure*.
        transport: ``"websockets"``, ``"picows"``, ``"auto"`` (picows if it is installed), or a custom opener.
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        open_timeout: seconds for connecting and for the server's first frame together.
        ping_interval: seconds between pings; ``None`` = no pings, so that a dead connection is not detected.
        ping_timeout: seconds of silence after which the connection is dropped; ``None`` = never.
        max_queue: how many trades and broadcasts may be queued for the iteration; one book per pair comes on top.
        max_message_size: the largest frame in bytes; it has to hold a whole book.
        insecure: allow ``ws://`` to other machines.
        pairs: the pairs to keep; ``None`` = all. The server sends all of them in any case.
        backoff: how long to wait before reconnecting; each feed needs its own.
        time: a monotonic clock in seconds; the age of books is measured by it.

    Raises:
        ConfigurationError: an option cannot be used.
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
        self._options = FeedOptions(url=url, **options)
        self._shown_url = redacted(url)
        self._pairs = Pairs(pairs)
        self._backoff = backoff or Backoff()
        self._time = time
        self._states = StateStream(FeedStateChange(FeedState.IDLE, "not started"))
        self._queue = UpdateQueue(self._options.max_queue)
        self._books: dict[str, OrderBook] = {}
        self._link: FeedLink | None = None
        self._live_since: float | None = None
        self._runner: asyncio.Task[None] | None = None
        self._connections = 0
        self._crossed = 0

    @classmethod
    def from_profile(
        cls, name: str, *, path: str | os.PathLike[str] | None = None, **overrides: Unpack[FeedOverrides]
    ) -> Self:
        """A feed for a profile; *path* and errors as for :meth:`Profile.load <cryptoproto.Profile.load>`.

        Other arguments count more than the profile.
        """
        return cls(**feed_arguments(Profile.load(name, path=path), **overrides))

    @classmethod
    def from_env(cls, **overrides: Unpack[FeedOverrides]) -> Self:
        """A feed for the variables ``CRYPTOPROTO_*``; errors as for :meth:`from_profile`."""
        return cls(**feed_arguments(Profile.from_env(), **overrides))

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

    # Starting and closing

    def start(self) -> None:
        """Start connecting; ``async with`` does this.

        Raises:
            ConfigurationError: the feed was started before.
            RuntimeError: no event loop is running.
        """
        if self._runner is not None or self._states.ended:
            raise ConfigurationError("a feed can be started only once; create another MarketData")
        loop = asyncio.get_running_loop()
        self._states.publish(FeedStateChange(FeedState.CONNECTING, "connecting", self._backoff.attempts))
        self._runner = loop.create_task(self._run(), name="cryptoproto-market-data")
        self._runner.add_done_callback(self._on_runner_done)

    async def close(self, timeout: float = _CLOSE_TIMEOUT) -> None:
        """Close the feed, within *timeout* seconds even if the server does not respond. Idempotent.

        Afterwards all books are stale. Queued updates other than books can still be iterated over. If cancelled, the
        feed closes all the same.
        """
        self._end(None)
        link, runner = self._link, self._runner
        if link is not None:
            link.close(timeout)
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner], timeout=timeout)  # a custom opener may ignore its cancellation
        if link is not None:
            await link.wait_gone()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        pairs = sorted(self._books if self._pairs.kept is None else self._pairs.kept)
        tops = ""
        for pair in pairs[:_PAIRS_SHOWN]:
            tops += f", {pair} {self._books[pair].top if pair in self._books else 'stale'}"
        more = f", and {len(pairs) - _PAIRS_SHOWN} more pairs" if len(pairs) > _PAIRS_SHOWN else ""
        return f"<MarketData {self._shown_url}, {self._states.current.state.value}{tops}{more}>"

    # Internals

    async def _run(self) -> None:
        while True:
            self._link = FeedLink(
                self._options, on_live=self._on_live, on_update=self._on_update, on_ended=self._on_link_ended
            )
            await self._link.run()
            if self._states.ended:
                return
            waiting = self._states.current
            await asyncio.sleep(waiting.delay_s)
            self._states.publish(
                FeedStateChange(FeedState.CONNECTING, "connecting", waiting.attempt, error=waiting.error)
            )

    def _on_runner_done(self, runner: asyncio.Task[None]) -> None:
        error = None if runner.cancelled() else runner.exception()
        if isinstance(error, Exception):  # a custom opener may raise anything
            logger.error("%s: the feed has ended", self._shown_url, exc_info=error)
            self._end(error)

    def _on_live(self) -> None:
        self._connections += 1
        self._live_since = asyncio.get_running_loop().time()
        announce(self._options.url)
        self._states.publish(FeedStateChange(FeedState.LIVE, "connected"))
        logger.info("%s: connected", self._shown_url)

    def _on_link_ended(self, error: Exception) -> None:
        self._forget()
        if isinstance(error, UnsupportedVersion | ConfigurationError):
            logger.error("%s: the feed has ended: %s", self._shown_url, error)
            self._end(error)
            return
        since, self._live_since = self._live_since, None
        if since is not None and asyncio.get_running_loop().time() - since >= _HEALTHY_AFTER:
            self._backoff.reset()
        delay = self._backoff.next_delay()
        logger.warning("%s: %s; next attempt in %.3f s", self._shown_url, error, delay)
        self._states.publish(FeedStateChange(FeedState.WAITING, str(error), self._backoff.attempts, delay, error))

    def _on_update(self, update: MarketUpdate) -> None:
        if isinstance(update, OrderBookAgg):
            if not self._pairs.keeps(update.trade_pair) or not self._on_snapshot(update):
                return
        elif not self._pairs.apply(update):
            return
        self._queue.put(update)
        self._states.notify()

    def _on_snapshot(self, snapshot: OrderBookAgg) -> bool:
        book = self.book(snapshot.trade_pair)
        was_crossed = book.is_crossed
        if not book.apply(snapshot):
            logger.warning(
                "%s: ignored a late snapshot of %s: order id %d after %d",
                self._shown_url, snapshot.trade_pair, snapshot.current_order_id, book.current_order_id,
            )  # fmt: skip
            return False
        if book.is_crossed and not was_crossed:
            self._crossed += 1
            logger.warning("%s: crossed book: %r", self._shown_url, book)
        return True

    def _forget(self) -> None:
        """Clear what is only known to be true while connected."""
        for book in self._books.values():
            book.clear()
        self._queue.drop_books()
        self._pairs.forget()

    def _end(self, error: Exception | None) -> None:
        if not self._states.ended:
            self._forget()
            reason = "closed by this end" if error is None else str(error)
            self._states.publish(
                FeedStateChange(FeedState.CLOSED, reason, self._backoff.attempts, error=error), last=True
            )
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
        if self._runner is None and not self._states.ended:
            raise ConfigurationError("the feed has not been started: use `async with`")
