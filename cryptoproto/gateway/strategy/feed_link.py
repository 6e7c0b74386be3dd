"""Market data that a gateway publishes, as a transport for :class:`~cryptoproto.MarketData`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

import nats.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from ...exceptions import ConnectError, DecodeError
from ...transport import Closed, Listener, OpenOptions, Transport
from ...wire import market_hello
from ...wire.market import MARKET_DATA_VERSION
from ..feed_codec import FeedBeat, Numbered, decode_beat, decode_update
from ..names import Names
from ..nats_connection import unsubscribe

__all__ = ["FeedOpener"]

_REQUEST_S: Final = 2.0
_PENDING: Final = 10_000
"""How many messages may wait in the NATS client; more are dropped, which shows as a gap, and healed."""


class FeedOpener:
    """Opens links to the market data of a gateway.

    Args:
        nc: a connection to NATS.
        names: of subjects.
        strategy: who reads.
        pairs: the pairs to read; ``None`` = all.

    Attributes:
        gaps: how often messages were missing.
    """

    def __init__(self, nc: Nats, names: Names, strategy: str, pairs: frozenset[str] | None) -> None:
        self.gaps: int = 0
        self._nc = nc
        self._names = names
        self._request = names.market_request(strategy)
        self._pairs = pairs

    async def __call__(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        """See :class:`~cryptoproto.transport.TransportOpener`."""
        link = _FeedLink(self, listener)
        await link.open()
        return link

    def missed(self) -> None:
        """Count a gap."""
        self.gaps += 1

    def keeps(self, pair: str) -> bool:
        """Whether a pair is read; what concerns no pair always is."""
        return not pair or self._pairs is None or pair in self._pairs

    async def subscribe(self, handler: Callable[[Msg], Awaitable[None]]) -> Any:
        """Subscribe to everything at once: between several subscriptions, messages lose their order."""
        return await self._nc.subscribe(f"{self._names.market}.>", cb=handler, pending_msgs_limit=_PENDING)

    async def beat(self) -> FeedBeat:
        """What there is now."""
        return decode_beat(await self._ask(b"?"))

    async def latest(self, pair: str) -> Numbered:
        """The latest book of a pair, or the rules of all pairs with an empty name; without a frame if there is none."""
        return decode_update(await self._ask(pair.encode()))

    def is_beat(self, subject: str) -> bool:
        """Whether beats come on a subject."""
        return subject == self._names.market_beat

    async def _ask(self, what: bytes) -> bytes:
        try:
            return (await self._nc.request(self._request, what, timeout=_REQUEST_S)).data
        except (nats.errors.Error, TimeoutError) as error:
            raise ConnectError(None, f"no gateway publishes market data: {str(error) or 'no answer'}") from error


class _FeedLink:
    """One reading of the market data, until the gateway has none any more.

    Args:
        opener: the subjects and requests.
        listener: takes the frames.
    """

    def __init__(self, opener: FeedOpener, listener: Listener) -> None:
        self._opener = opener
        self._listener = listener
        self._fence = 0
        self._seen: dict[str, int] = {}  # the number of the last message, by subject
        self._books: dict[str, int] = {}  # the number of the last book that was passed on, by pair
        self._subscription: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = asyncio.Event()
        self._is_over = False

    async def open(self) -> None:
        """Subscribe first, then ask for what there is, so that nothing is missed in between.

        Raises:
            ConnectError: no gateway has market data.
        """
        try:
            self._subscription = await self._opener.subscribe(self._on_message)
            beat = await self._opener.beat()
        except (nats.errors.Error, ConnectError) as error:
            await self._leave()
            raise ConnectError(None, str(error)) from error
        if not beat.is_live:
            await self._leave()
            raise ConnectError(None, "the gateway has no market data at the moment")
        self._fence = beat.fence
        self._seen = dict(beat.numbers)
        self._listener.on_open(self)
        self._listener.on_message(market_hello(MARKET_DATA_VERSION))
        for pair in ("", *beat.books):
            self._fetch_soon(pair)
        self._is_open.set()

    # Messages

    async def _on_message(self, message: Msg) -> None:
        await self._is_open.wait()
        if self._is_over:
            return
        self._listener.on_heard()
        try:
            if self._opener.is_beat(message.subject):
                self._on_beat(decode_beat(message.data))
            else:
                self._on_update(decode_update(message.data))
        except DecodeError as error:
            self._end(str(error))

    def _on_beat(self, beat: FeedBeat) -> None:
        if beat.fence < self._fence:
            return
        if beat.fence > self._fence:
            self._end("another gateway publishes the market data from here on")
        elif not beat.is_live:
            self._end("the gateway has lost its market data")
        else:
            for pair, number in beat.numbers.items():
                if self._opener.keeps(pair) and self._seen.get(pair, 0) < number:
                    self._seen[pair] = number
                    self._opener.missed()
                    self._fetch_soon(pair)

    def _on_update(self, update: Numbered) -> None:
        if update.fence < self._fence:
            return
        if update.fence > self._fence:
            self._end("another gateway publishes the market data from here on")
            return
        pair, seen = update.pair, self._seen.get(update.pair, 0)
        if update.number <= seen or not self._opener.keeps(pair):
            return
        self._seen[pair] = update.number
        if update.number > seen + 1:
            self._opener.missed()
            if not update.is_book:
                self._fetch_soon(pair)
        if update.is_book:
            self._take_book(update)
        else:
            self._listener.on_message(update.frame)

    def _take_book(self, update: Numbered) -> None:
        """Pass a book on, unless a newer one was fetched before."""
        if update.number >= self._books.get(update.pair, 0):
            self._books[update.pair] = update.number
            self._listener.on_message(update.frame)

    def _fetch_soon(self, pair: str) -> None:
        """Ask for the latest book of a pair."""
        if self._opener.keeps(pair):
            self._start(self._fetch(pair))

    async def _fetch(self, pair: str) -> None:
        try:
            latest = await self._opener.latest(pair)
        except (ConnectError, DecodeError) as error:
            self._end(str(error))
            return
        if latest.frame and latest.fence == self._fence and not self._is_over:
            self._take_book(latest)

    # The end

    def _end(self, reason: str) -> None:
        if not self._is_over:
            self._is_over = True
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()
            self._start(self._leave())
            self._listener.on_closed(Closed(None, reason))

    async def _leave(self) -> None:
        subscription, self._subscription = self._subscription, None
        await unsubscribe(subscription)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # See :class:`~cryptoproto.transport.Transport`; market data is read only

    def send(self, data: bytes) -> None:
        """Does nothing."""

    def send_many(self, messages: Sequence[bytes]) -> None:
        """Does nothing."""

    def send_text(self, text: str) -> None:
        """Does nothing."""

    def ping(self) -> None:
        """Does nothing: the gateway sends a beat every second."""

    @property
    def remote_address(self) -> str:
        """Empty: the sender is somewhere behind NATS."""
        return ""

    @property
    def writable(self) -> bool:
        """Always."""
        return True

    async def drain(self) -> None:
        """Returns at once."""

    def pause_reading(self) -> None:
        """Does nothing: books are conflated."""

    def resume_reading(self) -> None:
        """Does nothing."""

    def close(self, code: int, reason: str, timeout: float) -> None:
        """Stop reading."""
        self._end(reason)

    def abort(self) -> None:
        """Stop reading."""
        self._end("aborted")
