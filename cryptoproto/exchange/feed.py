"""The market-data socket: aggregated books and all trades, for everybody, unencrypted and read only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from ..arguments import check_seconds
from ..messages import Message, encode
from ..transport import Closed, Heartbeat, Transport
from ..wire import CloseCode, market_frame, market_hello
from .byte_queue import ByteQueue
from .venue import Venue

__all__ = ["MarketFeed"]

_CLOSE_TIMEOUT: Final = 2.0
_MAX_WAITING: Final = 2**20
"""Bytes of trades that may wait for a reader before it is disconnected. Of each book only the newest waits."""
_TOGETHER: Final = 64  # trades in one write


class MarketFeed:
    """Publishes the books that changed, each at most once in *interval* seconds, and every trade.

    Each is encoded once for all readers, and many trades of one turn of the event loop are sent with one write.

    A book is published once everything that it shows is durable.

    Args:
        venue: returns the market.
        interval: seconds between two publications of a book.
        ping_interval: seconds between pings to a reader.
        ping_timeout: seconds of silence after which a reader is disconnected, even if it is silent because it does
            not read.

    Raises:
        ConfigurationError: *interval* is not a number of seconds.
    """

    def __init__(
        self, venue: Callable[[], Venue], interval: float, *, ping_interval: float, ping_timeout: float
    ) -> None:
        check_seconds("book_interval", interval)
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self._venue = venue
        self._interval = interval
        self._links: set[_MarketLink] = set()
        self._readers: set[_MarketLink] = set()  # the links that have received the books
        self._timer: asyncio.TimerHandle | None = None
        self._last = float("-inf")
        self._trades: list[bytes] = []  # frames of this turn of the event loop
        self._end_of_turn: asyncio.Handle | None = None

    def make_listener(self) -> _MarketLink:
        """The listener of a new reader."""
        return _MarketLink(self)

    def publish(self, message: Message, *, together: bool = False) -> None:
        """Send a trade or a broadcast to all readers, now or *together* with others of this turn of the event loop."""
        if self._readers:
            self._trades.append(market_frame(encode(message)))
            if not together or len(self._trades) >= _TOGETHER:
                self._send_trades()
            elif self._end_of_turn is None:
                self._end_of_turn = asyncio.get_running_loop().call_soon(self._send_trades)

    def _send_trades(self) -> None:
        if self._end_of_turn is not None:
            self._end_of_turn.cancel()
            self._end_of_turn = None
        trades, self._trades = self._trades, []
        if trades:
            for link in tuple(self._readers):
                link.send_many(trades)

    def books_changed(self) -> None:
        """Publish the books that changed, now or at the end of the interval."""
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
        self._send_trades()
        for pair, frame in books.items():
            for link in tuple(self._readers):
                link.send_book(pair, frame)

    def joined(self, link: _MarketLink) -> None:
        """A reader connected: it receives the rules of all pairs, then the current books."""
        self._links.add(link)
        link.send(market_hello())
        venue = self._venue()
        rules = market_frame(encode(venue.engine.trading_rules))
        venue.ledger.when_durable(self._welcome, link, rules, self._books(venue.engine.trade_pairs))

    def _welcome(self, link: _MarketLink, rules: bytes, books: dict[str, bytes]) -> None:
        if link in self._links:
            self._send_trades()  # to those who read already
            link.send(rules)
            for pair, frame in books.items():
                link.send_book(pair, frame)
            self._readers.add(link)

    def left(self, link: _MarketLink) -> None:
        """A reader is gone."""
        self._links.discard(link)
        self._readers.discard(link)

    async def close(self, code: int, reason: str) -> None:
        """Disconnect all readers."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._send_trades()
        links = tuple(self._links)
        for link in links:
            link.close(code, reason)
        await asyncio.gather(*(link.gone for link in links))


class _MarketLink:
    def __init__(self, feed: MarketFeed) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._feed = feed
        self._transport: Transport | None = None
        self._waiting: ByteQueue[bytes] = ByteQueue()
        self._books: dict[str, bytes] = {}
        self._drain: asyncio.Task[None] | None = None
        self._closing = False
        loop = asyncio.get_running_loop()
        self._heartbeat = Heartbeat(
            loop,
            interval=feed.ping_interval,
            timeout=feed.ping_timeout,
            ping=self._ping,
            deaf=lambda: False,
            on_silence=lambda: self.close(CloseCode.GOING_AWAY, "heartbeat timeout"),
        )

    def on_open(self, transport: Transport) -> None:
        self._transport = transport
        self._heartbeat.start()
        self._feed.joined(self)

    def on_message(self, data: bytes, more: bool = False) -> None:
        self.close(CloseCode.PROTOCOL_ERROR, "market data is read only")

    def on_text(self, text: str) -> None:
        self.close(CloseCode.PROTOCOL_ERROR, "market data is read only")

    def on_heard(self) -> None:
        self._heartbeat.heard = True

    def on_closed(self, closed: Closed) -> None:
        self._closing = True
        self._heartbeat.stop()
        self._waiting.clear()
        self._books.clear()
        if self._drain is not None:
            self._drain.cancel()
        self._feed.left(self)
        if not self.gone.done():
            self.gone.set_result(None)

    def send(self, frame: bytes) -> None:
        if self._closing or self._transport is None:
            return
        if self._drain is not None:
            self._waiting.push(frame, len(frame))
            if self._waiting.size > _MAX_WAITING:
                self.close(CloseCode.POLICY_VIOLATION, "market data was not read fast enough")
            return
        self._transport.send(frame)
        self._sent(self._transport)

    def send_many(self, frames: Sequence[bytes]) -> None:
        transport = self._transport
        if self._closing or transport is None or self._drain is not None:
            for frame in frames:
                self.send(frame)
        else:
            transport.send_many(frames)
            self._sent(transport)

    def _sent(self, transport: Transport) -> None:
        if not transport.writable:
            self._drain = asyncio.get_running_loop().create_task(self._drained(transport))

    def send_book(self, pair: str, frame: bytes) -> None:
        if self._drain is not None:
            self._books[pair] = frame
        else:
            self.send(frame)

    async def _drained(self, transport: Transport) -> None:
        await transport.drain()
        self._drain = None
        while self._waiting and self._drain is None:
            self.send(self._waiting.pop())
        while self._books and self._drain is None:
            self.send(self._books.pop(next(iter(self._books))))

    def _ping(self) -> None:
        if self._transport is not None:
            self._transport.ping()

    def close(self, code: int, reason: str) -> None:
        if not self._closing and self._transport is not None:
            self._closing = True
            self._heartbeat.stop()
            self._waiting.clear()
            self._books.clear()
            self._transport.close(code, reason, _CLOSE_TIMEOUT)
