"""Keeps what a feed receives in a file."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from ..arguments import check_count, check_plain_function, check_seconds
from ..exceptions import ConfigurationError, ConnectionClosed, RecordingError
from ..market_data import Feed, FeedState, FeedStateChange, MarketUpdate
from ..messages import AnonymousTrade, OrderBookAgg, TradingRules, encode
from ..version import __version__
from .block import BlockBuilder, StateKind, StateRecord
from .format import ANCHOR, Header, compression
from .recording_file import RecordingWriter

__all__ = ["Recorder", "record"]

logger: logging.Logger = logging.getLogger("cryptoproto.recording")

_ANCHOR_EVERY: Final = 64
"""Every 64th block repeats the books of all pairs: five minutes at the default interval."""
_MOST_WAITING: Final = 32
"""Blocks that may wait for the disk."""


def record(
    feed: Feed,
    path: str | os.PathLike[str],
    *,
    pairs: Iterable[str] | None = None,
    block_interval: float = 5.0,
    block_updates: int = 10_000,
    clock: Callable[[], int] = time.time_ns,
) -> Recorder:
    """Record what *feed* receives, from ``async with`` to its end.

    ::

        async with cp.MarketData(url) as feed, cp.record(feed, "monday.rec"):
            ...

    See :class:`Recorder` for the arguments. Needs the extra ``recording``.

    Raises:
        ConfigurationError: an option cannot be used, or the extra is missing. What is wrong with the file is raised by
            ``async with``.
    """
    return Recorder(feed, path, pairs=pairs, block_interval=block_interval, block_updates=block_updates, clock=clock)


class Recorder:
    """Writes updates and changes of the state of a feed to a file, with the time at which they were received.

    Updates are collected for *block_interval* seconds, compressed and appended to the file as one block, which is
    synced to disk before the next one. A crash, or ``kill -9``, loses at most the block that was not yet written. An
    existing file is continued.

    The books that the feed already has are recorded first, so that a recording starts with them.

    Args:
        feed: the feed; it may be started later.
        path: the file.
        pairs: the pairs to record; ``None`` = all pairs of the feed.
        block_interval: seconds between two blocks.
        block_updates: how many updates a block has at most.
        clock: Unix time in nanoseconds.

    Attributes:
        path: the file.
        updates: how many updates were recorded.
        gaps: how often the feed lost its connection.

    Raises:
        ConfigurationError: as for :func:`record`.
    """

    def __init__(
        self,
        feed: Feed,
        path: str | os.PathLike[str],
        *,
        pairs: Iterable[str] | None = None,
        block_interval: float = 5.0,
        block_updates: int = 10_000,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        check_seconds("block_interval", block_interval)
        check_count("block_updates", block_updates, 1)
        check_plain_function("clock", clock)
        if isinstance(pairs, str):
            raise ConfigurationError(f"pairs={pairs!r} must be a list of pairs: write [{pairs!r}]")
        compression()  # if it is missing, fail before the feed is connected
        self._feed = feed
        self._pairs = feed.pairs if pairs is None else frozenset(pairs)
        self._interval = block_interval
        self._limit = block_updates
        self._clock = clock
        self._writer: RecordingWriter | None = None
        self.path: str = os.fspath(path)
        self.updates: int = 0
        self.gaps: int = 0
        self._builder = BlockBuilder()
        self._last_us = 0
        self._blocks = 0
        self._waiting = 0
        self._timer: asyncio.TimerHandle | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._over: asyncio.Future[None] | None = None

    @property
    def size(self) -> int:
        """The length of the file in bytes; what is not yet written is not included."""
        return 0 if self._writer is None else self._writer.size

    # Starting and closing

    def start(self) -> None:
        """Start to record; ``async with`` does this.

        Raises:
            ConfigurationError: it was started before, the extra is missing, or the file is in use or is not a recording
                of this feed.
            RecordingError: the file is damaged, or cannot be written.
        """
        if self._over is not None:
            raise ConfigurationError("a recorder can be started only once; create another one")
        kept = None if self._pairs is None else sorted(self._pairs)
        header = Header(self._feed.source, kept, self._clock() // 1000, f"cryptoproto {__version__}")
        self._writer = RecordingWriter(self.path, header)
        self._last_us = self._writer.last_us
        self._over = asyncio.get_running_loop().create_future()
        self._thread = ThreadPoolExecutor(1, "recorder")
        state = self._feed.state
        self._builder.add_state(self._now_us(), _state_record(state, "begin"))
        if self._feed.instruments:
            self.on_update(self._rules())
        self._add_books(is_key=False)
        self._feed.attach(self)
        self._set_timer()

    async def close(self) -> None:
        """Write what was recorded, and close the file. Idempotent.

        Raises:
            RecordingError: it cannot be written.
        """
        over, thread, writer = self._over, self._thread, self._writer
        if over is None or writer is None:
            return
        self._feed.detach(self)
        if thread is not None:
            self._thread = None
            self._stop_timer()
            if not over.done():
                self._builder.add_state(self._now_us(), _state_record(self._feed.state, "end"))
                self._write_block(thread, writer)
            # In a thread, because the disk may be slow.
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(thread, writer.close))
            thread.shutdown()
            await asyncio.sleep(0)  # lets _on_written() run for the last block
            if not over.done():
                over.set_result(None)
        await self.wait_closed()

    async def flush(self) -> None:
        """Write what was recorded so far, and wait until it is on disk.

        Raises:
            RecordingError: it cannot be written.
        """
        if self._thread is not None:
            if self._builder.count:
                self._cut()
            await asyncio.wrap_future(self._thread.submit(_nothing))  # the thread writes in order
        if self._over is not None and self._over.done():
            self._over.result()

    async def wait_closed(self) -> None:
        """Wait for the end: :meth:`close`, or a file that cannot be written.

        Raises:
            RecordingError: the file cannot be written, or not fast enough.
            ConfigurationError: the recorder was not started.
        """
        if self._over is None:
            raise ConfigurationError("the recorder has not been started: use `async with`")
        await asyncio.shield(self._over)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Recorder {self.path}, {self.updates} updates, {self.size} bytes>"

    # Called by the feed

    def on_update(self, update: MarketUpdate) -> None:
        """See :class:`~cryptoproto.FeedObserver`."""
        builder = self._builder
        if isinstance(update, OrderBookAgg):
            if self._pairs is not None and update.trade_pair not in self._pairs:
                return
            book = self._feed.book(update.trade_pair)
            builder.add_book(self._now_us(), update, book.bids, book.asks)
        elif isinstance(update, AnonymousTrade) and self._pairs is not None and update.trade_pair not in self._pairs:
            return
        else:
            builder.add(self._now_us(), update)
        self.updates += 1
        if builder.count >= self._limit:
            self._cut()

    def on_state(self, change: FeedStateChange) -> None:
        """See :class:`~cryptoproto.FeedObserver`."""
        if change.state is FeedState.WAITING:
            self.gaps += 1
        if change.state is not FeedState.LIVE:
            self._builder.forget()
        self._builder.add_state(self._now_us(), _state_record(change, "state"))

    # Internals

    def _now_us(self) -> int:
        """The time; it does not go back even if the clock does."""
        now = self._clock() // 1000
        if now > self._last_us:
            self._last_us = now
        return self._last_us

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._on_timer)

    def _on_timer(self) -> None:
        self._set_timer()
        if self._builder.count:
            self._cut()

    def _cut(self) -> None:
        if self._thread is None or self._writer is None:
            return
        if self._waiting >= _MOST_WAITING:
            self._fail(RecordingError(self.path, f"the disk is too slow: {self._waiting} blocks wait for it"))
            return
        self._write_block(self._thread, self._writer)
        if self._blocks % _ANCHOR_EVERY == 0:
            rules = encode(self._rules()) if self._feed.instruments else b""
            self._builder.add_state(self._now_us(), _state_record(self._feed.state, "anchor", rules))
            self._add_books(is_key=True)

    def _rules(self) -> TradingRules:
        return TradingRules([instrument.to_rules() for instrument in self._feed.instruments.values()])

    def _add_books(self, *, is_key: bool) -> None:
        now = self._now_us()
        for pair, book in self._feed.books.items():
            if book.current_order_id is not None and (self._pairs is None or pair in self._pairs):
                message = OrderBookAgg(pair, book.current_order_id, dict(book.bids), dict(book.asks))
                self._builder.add_book(now, message, book.bids, book.asks, is_key=is_key)
                self.updates += not is_key

    def _write_block(self, thread: ThreadPoolExecutor, writer: RecordingWriter) -> None:
        builder, self._builder = self._builder, BlockBuilder()
        flags = ANCHOR if self._blocks % _ANCHOR_EVERY == 0 else 0
        self._blocks += 1
        self._waiting += 1
        loop = asyncio.get_running_loop()
        written = thread.submit(_append, writer, builder, flags)
        written.add_done_callback(lambda future: loop.call_soon_threadsafe(self._on_written, future))

    def _on_written(self, written: Future[None]) -> None:
        self._waiting -= 1
        error = written.exception()
        if error is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._feed.detach(self)
        self._stop_timer()
        if self._over is not None and not self._over.done():
            logger.error("%s", error)
            self._over.set_exception(error)
            self._over.exception()  # marks it as retrieved: it is logged, even if nobody waits

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def _nothing() -> None:
    pass


def _append(writer: RecordingWriter, builder: BlockBuilder, flags: int) -> None:
    """In the thread."""
    writer.append(
        builder.finish(), entries=builder.count, first_us=builder.first_us, last_us=builder.last_us, flags=flags
    )


def _state_record(change: FeedStateChange, kind: StateKind, rules: bytes = b"") -> StateRecord:
    error = change.error
    return StateRecord(
        kind,
        change.state.value,
        change.reason,
        change.attempt,
        change.delay_s,
        error.code if isinstance(error, ConnectionClosed) else None,
        error is not None,
        rules,
    )
