"""The public market-data feed, kept alive: books, trades, and which pairs are traded."""

from __future__ import annotations

import asyncio
import copy
import logging
import ssl as ssl_module
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Final, Self

from ..exceptions import ConfigurationError, ConnectionClosed, CryptoprotoError, RequestTimeout, UnsupportedVersion
from ..messages import AnonymousTrade, OrderBookAgg, TradesDisabledOnPairs, TradesEnabledOnPairs
from ..reconnect.backoff import Backoff
from ..reconnect.state_stream import StateStream
from ..reconnect.subscription import Subscription
from ..transport import TransportKind, TransportOpener
from ..wire import MAX_FRAME_BYTES
from .book import OrderBook
from .link import FeedLink, FeedOptions
from .states import FeedState, FeedStatus
from .update_queue import MarketUpdate, UpdateQueue

__all__ = ["MarketData"]

logger = logging.getLogger("cryptoproto.market_data")

_CLOSE_TIMEOUT: Final = 5.0
_HEALTHY_AFTER: Final = 10.0
"""Seconds that a link has to live before the backoff begins anew: one heartbeat's timeout. A feed that says hello and
falls over at once is not asked again twice a second for ever."""


class MarketData:
    """The public feed of an exchange, which connects again by itself, for ever.

    ::

        async with cp.MarketData("wss://marketdata.example.com") as feed:
            async for update in feed:
                ...
            feed.book("BTC_USD").best_bid

    Entering does not wait for the connection. Books are kept whether or not anybody iterates. The iteration ends when
    :meth:`close` was called, and raises what ended the feed otherwise: a version of market data that is not spoken
    here, or an address that cannot be used. Everything else, a malformed frame too, is the reason of a reconnect.

    The feed has no replay: trades of the time in which there was no link are not told later. A slow iteration gets
    fewer books, each the newest; of other updates the oldest are given up beyond *max_queue*, and :attr:`dropped`
    counts them.

    Args:
        url: ``wss://host[:port][/path]``; ``ws://`` only to a loopback address unless *insecure*.
        transport: ``"websockets"``, ``"picows"``, ``"auto"`` (picows where it is installed), or an opener of one's own.
        ssl: a TLS context for ``wss://``; the system's certificates by default.
        open_timeout: seconds for connecting and the feed's hello together.
        ping_interval: seconds between pings; ``None`` = no pings, and a dead link is not noticed.
        ping_timeout: seconds of silence after which the link is given up; ``None`` = never.
        max_queue: how many trades and broadcasts may wait to be iterated over; the books of all pairs come on top.
        max_message_size: largest frame in bytes; a whole book has to fit.
        insecure: allow ``ws://`` to other machines.
        pairs: the pairs to keep; ``None`` = all. The feed sends all of them anyway.
        backoff: how long to wait before connecting again; not to be shared between feeds.
        clock: seconds on any clock that only goes forward; the age of books is measured by it.

    Raises:
        ConfigurationError: an option cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        transport: TransportKind | TransportOpener = "auto",
        ssl: ssl_module.SSLContext | None = None,
        open_timeout: float = 10.0,
        ping_interval: float | None = 4.0,
        ping_timeout: float | None = 10.0,
        max_queue: int = 10_000,
        max_message_size: int = MAX_FRAME_BYTES,
        insecure: bool = False,
        pairs: Iterable[str] | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = FeedOptions(
            url=url, transport=transport, ssl=ssl, open_timeout=open_timeout, ping_interval=ping_interval,
            ping_timeout=ping_timeout, max_queue=max_queue, max_message_size=max_message_size, insecure=insecure,
        )  # fmt: skip
        if isinstance(pairs, str):
            raise ConfigurationError(f"pairs={pairs!r} must be several: write [{pairs!r}]")
        self._pairs = None if pairs is None else frozenset(pairs)
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._states = StateStream(FeedState(FeedStatus.IDLE))
        self._queue = UpdateQueue(max_queue)
        self._books: dict[str, OrderBook] = {}
        self._trades: dict[str, AnonymousTrade] = {}
        self._enabled: set[str] = set()
        self._disabled: set[str] = set()
        self._link: FeedLink | None = None
        self._live_since: float | None = None
        self._runner: asyncio.Task[None] | None = None
        self._connections = 0
        self._crossed = 0

    # What is known

    def book(self, trade_pair: str) -> OrderBook:
        """The book of a pair; always the same object, stale and empty while there is nothing to tell.

        Raises:
            ConfigurationError: the pair is none of those that the feed was told to keep.
        """
        book = self._books.get(trade_pair)
        if book is None:
            self._check_kept(trade_pair)
            book = self._books[trade_pair] = OrderBook(trade_pair, clock=self._clock)
        return book

    @property
    def books(self) -> Mapping[str, OrderBook]:
        """All books by pair, a live view: those that the exchange has sent, and those that were asked for."""
        return MappingProxyType(self._books)

    def last_trade(self, trade_pair: str) -> AnonymousTrade | None:
        """The newest trade of a pair that was heard of; it stays over a disconnect.

        Raises:
            ConfigurationError: the pair is none of those that the feed was told to keep.
        """
        self._check_kept(trade_pair)
        return self._trades.get(trade_pair)

    @property
    def enabled_pairs(self) -> frozenset[str]:
        """The pairs of which a broadcast over this link said that they are traded.

        The feed says nothing of this when it is opened, so most pairs are in neither set; both are empty again after
        a disconnect.
        """
        return frozenset(self._enabled)

    @property
    def disabled_pairs(self) -> frozenset[str]:
        """The pairs of which a broadcast over this link said that they are not traded; see :attr:`enabled_pairs`."""
        return frozenset(self._disabled)

    # How it is

    @property
    def state(self) -> FeedState:
        """What the feed is doing, and why."""
        return self._states.current

    @property
    def is_connected(self) -> bool:
        """Whether there is a live link."""
        return self._states.current.status is FeedStatus.LIVE

    def states(self) -> Subscription[FeedState]:
        """The present state and every one that follows, to the end of the feed; for any number of tasks.

        Cancelling loses nothing. One that is more than 64 states behind misses the oldest.
        """
        return self._states.subscribe()

    @property
    def connections(self) -> int:
        """How often the feed went live. Each time but the first, there may be a gap in the trades."""
        return self._connections

    @property
    def dropped(self) -> int:
        """How many trades and broadcasts were given up because the iteration was too slow."""
        return self._queue.dropped

    @property
    def queued(self) -> int:
        """How many updates wait to be iterated over."""
        return len(self._queue)

    @property
    def crossed_books(self) -> int:
        """How often a book became crossed; each time is logged, and :attr:`OrderBook.is_crossed` says it is now."""
        return self._crossed

    # Waiting

    async def wait_book(self, trade_pair: str, *, timeout: float | None = None) -> OrderBook:
        """The book of a pair, once it is not stale; at once where it is not. Cancelling changes nothing.

        Raises:
            RequestTimeout: it took more than *timeout* seconds. The feed goes on.
            ConfigurationError: the feed was not started, or is not told to keep the pair.
            ConnectionClosed, UnsupportedVersion: the feed has ended, or ended meanwhile.
        """
        book = self.book(trade_pair)
        await self._wait_until(lambda: not book.is_stale, timeout, f"no book of {trade_pair} came")
        return book

    async def wait_connected(self, *, timeout: float | None = None) -> None:
        """Wait until there is a live link; raises as :meth:`wait_book`. Cancelling changes nothing."""
        await self._wait_until(lambda: self.is_connected, timeout, "there was no connection")

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
            words = f"{state.status.value}: {state.error}" if state.error else state.status.value
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

    # Its life

    def start(self) -> None:
        """Begin to connect; ``async with`` does it.

        Raises:
            ConfigurationError: it was started before.
            RuntimeError: no event loop is running.
        """
        if self._runner is not None or self._states.ended:
            raise ConfigurationError("a feed is started once; make another MarketData")
        loop = asyncio.get_running_loop()
        self._states.publish(FeedState(FeedStatus.CONNECTING, self._backoff.attempts))
        self._runner = loop.create_task(self._run(), name="cryptoproto-market-data")
        self._runner.add_done_callback(self._on_runner_done)

    async def close(self, timeout: float = _CLOSE_TIMEOUT) -> None:
        """End the feed, within *timeout* seconds even where the peer is silent. Idempotent.

        Books are stale from here on; updates that wait, books apart, can still be iterated over. Cancelling does not
        stop the closing.
        """
        self._end(None)
        link, runner = self._link, self._runner
        if link is not None:
            link.close(timeout)
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner], timeout=timeout)  # an opener of the user's own may not let go
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
        return f"<MarketData {self._options.url}, {self._states.current.status.value}>"

    # Inside

    async def _run(self) -> None:
        while True:
            self._link = FeedLink(
                self._options, on_live=self._on_live, on_update=self._on_update, on_ended=self._on_link_ended
            )
            await self._link.run()
            retry_in = self._states.current.retry_in
            if retry_in is None:  # over
                return
            await asyncio.sleep(retry_in)
            self._states.publish(FeedState(FeedStatus.CONNECTING, self._backoff.attempts, self._states.current.error))

    def _on_runner_done(self, runner: asyncio.Task[None]) -> None:
        error = None if runner.cancelled() else runner.exception()
        if isinstance(error, Exception):  # an opener of the user's own may raise anything
            logger.error("%s: the feed has ended", self._options.url, exc_info=error)
            self._end(error)

    def _on_live(self) -> None:
        self._connections += 1
        self._live_since = asyncio.get_running_loop().time()
        self._states.publish(FeedState(FeedStatus.LIVE))
        logger.info("%s: live", self._options.url)

    def _on_link_ended(self, error: Exception) -> None:
        self._forget()
        if isinstance(error, UnsupportedVersion | ConfigurationError):
            logger.error("%s: the feed has ended: %s", self._options.url, error)
            self._end(error)
            return
        since, self._live_since = self._live_since, None
        if since is not None and asyncio.get_running_loop().time() - since >= _HEALTHY_AFTER:
            self._backoff.reset()
        delay = self._backoff.next_delay()
        logger.warning("%s: %s; next attempt in %.3f s", self._options.url, error, delay)
        self._states.publish(FeedState(FeedStatus.WAITING, self._backoff.attempts, error, delay))

    def _on_update(self, update: MarketUpdate) -> None:
        match update:
            case OrderBookAgg():
                if not self._keeps(update.trade_pair) or not self._on_snapshot(update):
                    return
            case AnonymousTrade():
                if not self._keeps(update.trade_pair):
                    return
                self._trades[update.trade_pair] = update
            case TradesEnabledOnPairs() | TradesDisabledOnPairs():
                pairs = {pair for pair in update.trade_pairs if self._keeps(pair)}
                if update.trade_pairs and not pairs:
                    return
                joined, left = self._enabled, self._disabled
                if isinstance(update, TradesDisabledOnPairs):
                    joined, left = left, joined
                joined |= pairs
                left -= pairs
        self._queue.put(update)
        self._states.notify()

    def _on_snapshot(self, snapshot: OrderBookAgg) -> bool:
        book = self.book(snapshot.trade_pair)
        was_crossed = book.is_crossed
        if not book.apply(snapshot):
            logger.warning(
                "%s: a late snapshot of %s was ignored: order id %d after %d",
                self._options.url, snapshot.trade_pair, snapshot.current_order_id, book.current_order_id,
            )  # fmt: skip
            return False
        if book.is_crossed and not was_crossed:
            self._crossed += 1
            logger.warning("%s: a crossed book: %r", self._options.url, book)
        return True

    def _forget(self) -> None:
        """What only a live link can vouch for."""
        for book in self._books.values():
            book.clear()
        self._queue.drop_books()
        self._enabled.clear()
        self._disabled.clear()

    def _end(self, error: Exception | None) -> None:
        if not self._states.ended:
            self._forget()
            self._states.publish(FeedState(FeedStatus.CLOSED, self._backoff.attempts, error), last=True)
            self._queue.end(self._final_error())

    def _final_error(self) -> Exception | None:
        """What ended the feed, for one caller: a shared exception would collect the tracebacks of all."""
        error = self._states.current.error
        if not isinstance(error, CryptoprotoError):
            return error
        own = copy.copy(error)
        own.__cause__ = error.__cause__
        return own

    def _keeps(self, trade_pair: str) -> bool:
        return self._pairs is None or trade_pair in self._pairs

    def _check_kept(self, trade_pair: str) -> None:
        if not self._keeps(trade_pair):
            raise ConfigurationError(f"this feed was told to keep other pairs than {trade_pair}: see pairs=")

    def _check_started(self) -> None:
        if self._runner is None and not self._states.ended:
            raise ConfigurationError("the feed was not started: use `async with`")
