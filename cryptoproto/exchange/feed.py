"""The market-data socket: the aggregated books and all trades, to everybody, unencrypted and read only."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ..messages import Message, encode
from ..transport import Closed, Transport
from ..wire import CloseCode, market_frame, market_hello
from .venue import Venue

__all__ = ["MarketFeed"]

_CLOSE_TIMEOUT: Final = 2.0
_MAX_WAITING: Final = 10_000
"""How many trades may wait for a reader before it is disconnected; a newer book replaces one that waits."""


class MarketFeed:
    """Publishes the books that changed, each at most once in *interval* seconds, and every trade at once.

    A book is that of the moment in which it is taken, and leaves when all that led to it is durable.
    """

    def __init__(self, venue: Callable[[], Venue], interval: float) -> None:
        self._venue = venue
        self._interval = interval
        self._links: set[_MarketLink] = set()
        self._readers: set[_MarketLink] = set()  # those of them that have got the books
        self._timer: asyncio.TimerHandle | None = None
        self._last = float("-inf")

    def make_listener(self) -> _MarketLink:
        """The listener of a new reader."""
        return _MarketLink(self)

    def publish(self, message: Message) -> None:
        """Send a trade or a broadcast to all readers."""
        frame = market_frame(encode(message))
        for link in tuple(self._readers):
            link.send(frame)

    def books_changed(self) -> None:
        """Publish the books that changed, now or when the interval is over."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._last + self._interval), self._publish_books)

    def _publish_books(self) -> None:
        self._timer = None
        self._last = asyncio.get_running_loop().time()
        venue = self._venue()
        touched = venue.engine.take_touched()
        if self._readers and touched:
            venue.ledger.when_durable(self._send_books, self._books(touched))

    def _books(self, pairs: Sequence[str]) -> dict[str, bytes]:
        engine = self._venue().engine
        return {pair: market_frame(encode(engine.aggregated_book(pair))) for pair in pairs}

    def _send_books(self, books: dict[str, bytes]) -> None:
        for pair, frame in books.items():
            for link in tuple(self._readers):
                link.send_book(pair, frame)

    def joined(self, link: _MarketLink) -> None:
        """A reader came: it gets the books as they are."""
        self._links.add(link)
        link.send(market_hello())
        venue = self._venue()
        venue.ledger.when_durable(self._welcome, link, self._books(venue.engine.trade_pairs))

    def _welcome(self, link: _MarketLink, books: dict[str, bytes]) -> None:
        if link in self._links:
            for pair, frame in books.items():
                link.send_book(pair, frame)
            self._readers.add(link)

    def left(self, link: _MarketLink) -> None:
        """A reader went."""
        self._links.discard(link)
        self._readers.discard(link)

    async def close(self, code: int, reason: str) -> None:
        """Disconnect all readers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        links = tuple(self._links)
        for link in links:
            link.close(code, reason)
        await asyncio.gather(*(link.gone for link in links))


class _MarketLink:
    def __init__(self, feed: MarketFeed) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._feed = feed
        self._transport: Transport | None = None
        self._waiting: deque[bytes] = deque()
        self._books: dict[str, bytes] = {}
        self._drain: asyncio.Task[None] | None = None
        self._closing = False

    def on_open(self, transport: Transport) -> None:
        self._transport = transport
        self._feed.joined(self)

    def on_message(self, data: bytes, more: bool = False) -> None:
        self.close(CloseCode.PROTOCOL_ERROR, "market data is read only")

    def on_text(self, text: str) -> None:
        self.close(CloseCode.PROTOCOL_ERROR, "market data is read only")

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        self._closing = True
        if self._drain is not None:
            self._drain.cancel()
        self._feed.left(self)
        if not self.gone.done():
            self.gone.set_result(None)

    def send(self, frame: bytes) -> None:
        if self._closing or self._transport is None:
            return
        if self._drain is not None:
            self._waiting.append(frame)
            if len(self._waiting) > _MAX_WAITING:
                self.close(CloseCode.POLICY_VIOLATION, "market data was not read fast enough")
            return
        self._transport.send(frame)
        if not self._transport.writable:
            self._drain = asyncio.get_running_loop().create_task(self._drained(self._transport))

    def send_book(self, pair: str, frame: bytes) -> None:
        if self._drain is not None:
            self._books[pair] = frame
        else:
            self.send(frame)

    async def _drained(self, transport: Transport) -> None:
        await transport.drain()
        self._drain = None
        while self._waiting and self._drain is None:
            self.send(self._waiting.popleft())
        while self._books and self._drain is None:
            self.send(self._books.pop(next(iter(self._books))))

    def close(self, code: int, reason: str) -> None:
        if not self._closing and self._transport is not None:
            self._closing = True
            self._transport.close(code, reason, _CLOSE_TIMEOUT)
