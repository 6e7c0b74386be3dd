"""``MarketData`` without ``await``."""

from __future__ import annotations

import copy
import ssl as ssl_module
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Self, TypeVar

from .. import market_data as asynchronous
from ..market_data import FeedStateChange, MarketUpdate, OrderBook
from ..messages import AnonymousTrade
from ..reconnect import Backoff
from ..transport import TransportKind, TransportOpener
from ..wire import MAX_FRAME_BYTES
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
    ) -> None:
        self._feed = asynchronous.MarketData(
            url, transport=transport, ssl=ssl, open_timeout=open_timeout, ping_interval=ping_interval,
            ping_timeout=ping_timeout, max_queue=max_queue, max_message_size=max_message_size, insecure=insecure,
            pairs=pairs, backoff=backoff,
        )  # fmt: skip
        self._thread = LoopThread("feed")
        self._updates: Stream[MarketUpdate] | None = None

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
