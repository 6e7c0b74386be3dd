"""Plays a recording back, as a feed."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from ..exceptions import ConfigurationError, ConnectionClosed, RecordingError
from ..market_data import Feed, FeedState, FeedStateChange, MarketUpdate, OrderBook
from ..market_data.link import typed_update
from ..messages import OrderBookAgg
from .block import Entry, Snapshot, StateRecord
from .recorded_clock import RecordedClock
from .recording_file import Damage, RecordingReader

__all__ = ["Replay", "replay"]

logger: logging.Logger = logging.getLogger("cryptoproto.recording")

_TURN: Final = 100
"""After so many updates without a pause, other tasks get their turn."""
_LAST_MOMENT_S: Final = 0.001
"""How long the last book stays before the end makes it stale, so that readers get it."""
_FAILED: Final = "the connection was lost"


def replay(
    path: str | os.PathLike[str],
    *,
    speed: float = 1.0,
    pairs: Iterable[str] | None = None,
    since: datetime | float | None = None,
    max_queue: int = 10_000,
    skip_damaged: bool = False,
) -> Replay:
    """A recording as a feed, which a bot cannot tell from a :class:`~cryptoproto.MarketData`.

    ::

        async with cp.replay("monday.rec", speed=10) as feed:
            async for update in feed:
                ...

    See :class:`Replay` for the arguments. Needs the extra ``recording``.

    Raises:
        ConfigurationError: an option cannot be used, the extra is missing, or the file is not a recording, or not one
            of these pairs.
        RecordingError: its header is damaged.
    """
    return Replay(path, speed=speed, pairs=pairs, since=since, max_queue=max_queue, skip_damaged=skip_damaged)


class Replay(Feed):
    """The updates and states of a recording, as far apart as they were received.

    The iteration ends with the recording, and so do the states. Damage ends it with a
    :class:`~cryptoproto.RecordingError`, unless *skip_damaged*: then it counts as a disconnect. So does a pause
    between two recorders of the same file. An unfinished block at the end of the file is ignored.

    With ``speed=0`` no time passes: each update is delivered as soon as the iteration asks for it, and none is left out
    however slow the reader is. A call that waits for a book reads up to it, whatever its timeout; what comes before is
    queued as in a live feed.

    Args:
        path: the file.
        speed: how fast: 1 = as it was recorded, 10 = ten times as fast, 0 = as fast as it is read.
        pairs: the pairs to keep; ``None`` = all that were recorded.
        since: begin at this time: a datetime with a time zone, or Unix seconds. Books are as they were then.
        max_queue: how many trades and broadcasts may be queued for the iteration.
        skip_damaged: leave damaged parts out.

    Raises:
        ConfigurationError: as for :func:`replay`.
        RecordingError: as for :func:`replay`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        speed: float = 1.0,
        pairs: Iterable[str] | None = None,
        since: datetime | float | None = None,
        max_queue: int = 10_000,
        skip_damaged: bool = False,
    ) -> None:
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed < math.inf:
            raise ConfigurationError(f"speed={speed!r} must be a number: 1 = as recorded, 0 = as fast as possible")
        super().__init__(os.fspath(path), pairs=pairs, max_queue=max_queue, time=self._seconds)
        self._since_us = _microseconds(since)
        self._speed = speed
        self._skip_damaged = skip_damaged
        with RecordingReader(path) as reader:
            self._header = reader.header
        recorded = self._header.pairs
        missing = sorted((self.pairs or frozenset()) - set(recorded or self.pairs or ()))
        if missing:
            raise ConfigurationError(
                f"{self._name}: {', '.join(missing)} is not in this recording of {', '.join(recorded or ())}"
            )
        self._pending: Iterator[tuple[int, Entry]] = iter(())
        self._now_us = self._since_us or self._header.created_us
        self._clock = RecordedClock(self._now_us * 1000, speed)
        self._turns = 0
        self._runner: asyncio.Task[None] | None = None

    def time_ns(self) -> int:
        """Unix time in nanoseconds on the replay's clock, which starts at the first update."""
        return self._clock() if self._clock.has_begun else self._now_us * 1000

    def time(self) -> float:
        """The same in seconds."""
        return self.time_ns() / 1e9

    def _seconds(self) -> float:
        """Seconds for the age of books, not counted from 1970, where a float would lose digits."""
        return (self.time_ns() - self._header.created_us * 1000) / 1e9

    # Iterating

    async def __anext__(self) -> MarketUpdate:
        """The next update. Cancelling loses nothing."""
        if self._speed or len(self._queue) or self._states.ended:
            return await super().__anext__()
        self._check_started()
        await self._take_turns()
        update = self._advance()
        if update is None:
            return await super().__anext__()
        return update

    async def _wait_until(self, done: Callable[[], bool], timeout: float | None, otherwise: str) -> None:
        if not self._speed and self._started:
            while not done() and not self._states.ended:
                await self._take_turns()
                update = self._advance()
                if update is not None:
                    self._queue.put(update)
        await super()._wait_until(done, timeout, otherwise)

    async def _take_turns(self) -> None:
        """Let other tasks run now and then."""
        self._turns += 1
        if self._turns % _TURN == 0:
            await asyncio.sleep(0)

    # Starting and closing

    def start(self) -> None:
        """Start the replay; ``async with`` does this.

        Raises:
            ConfigurationError: it was started before.
            RuntimeError: no event loop is running.
        """
        loop = asyncio.get_running_loop()
        self._begin()
        self._pending = self._entries()
        self._enter(FeedStateChange(FeedState.CONNECTING, "connecting"))
        if self._speed:
            self._runner = loop.create_task(self._run(), name="cryptoproto-replay")
            self._runner.add_done_callback(self._on_runner_done)

    async def close(self) -> None:
        """Close the replay and the file. Idempotent.

        Afterwards all books are stale. Queued updates other than books can still be iterated over.
        """
        self._finish(None)
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])

    # Internals

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        begin, first_us = loop.time(), self._now_us
        without_pause = 0
        for at_us, entry in self._pending:
            if not self._clock.has_begun:
                first_us = at_us
                self._clock.begin(at_us * 1000)
            delay = begin + (at_us - first_us) / 1e6 / self._speed - loop.time()
            without_pause = 0 if delay > 0 else without_pause + 1
            if delay > 0 or without_pause % _TURN == 0:
                await asyncio.sleep(max(delay, 0))
            self._now_us = at_us
            update = self._settle(entry)
            if update is not None:
                self._deliver(update)
        await asyncio.sleep(_LAST_MOMENT_S)
        self._finish(None, reason="the recording has ended")

    def _on_runner_done(self, runner: asyncio.Task[None]) -> None:
        error = None if runner.cancelled() else runner.exception()
        if isinstance(error, Exception):
            self._finish(error)

    def _advance(self) -> MarketUpdate | None:
        """The next update, which the books include then; ``None`` if the recording has ended."""
        try:
            for at_us, entry in self._pending:
                self._now_us = at_us
                update = self._settle(entry)
                if update is not None:
                    for observer in self._observers:
                        observer.on_update(update)
                    self._states.notify()
                    return update
        except RecordingError as error:
            self._finish(error)
        else:
            self._finish(None, reason="the recording has ended")
        return None

    def _finish(self, error: Exception | None, reason: str = "closed by this end") -> None:
        self._end(error, reason=reason)
        self._close_file()

    def _close_file(self) -> None:
        pending, self._pending = self._pending, iter(())
        if isinstance(pending, Generator):
            pending.close()

    def _settle(self, entry: Entry) -> MarketUpdate | None:
        """Bring books and state up to date; returns what a reader gets."""
        if type(entry) is Snapshot:
            message = entry.message
            if not self._pairs.keeps(message.trade_pair):
                return None
            self._on_levels(message.trade_pair, message.current_order_id, entry.bids, entry.asks)
            return None if entry.is_key else message
        if type(entry) is StateRecord:
            self._on_state(entry)
            return None
        if isinstance(entry, OrderBookAgg):  # one with levels that have no volume
            if not self._pairs.keeps(entry.trade_pair):
                return None
            book = OrderBook(entry.trade_pair)
            book.apply(entry)
            self._on_levels(entry.trade_pair, entry.current_order_id, book.bids, book.asks)
            return entry
        return entry if not isinstance(entry, Snapshot | StateRecord) and self._take(entry) else None

    def _on_state(self, record: StateRecord) -> None:
        state = FeedState(record.state)
        current = self._states.current.state
        if record.kind == "end" or (record.kind == "anchor" and current is not FeedState.CONNECTING):
            return
        if record.rules:
            self._take(typed_update(record.rules))
        if record.kind == "begin" and current is not FeedState.CONNECTING:
            self._forget()
            self._enter(FeedStateChange(FeedState.WAITING, "the recording was interrupted"))
        if state is not FeedState.LIVE:
            self._forget()
        if state in (FeedState.CLOSED, FeedState.IDLE):
            return  # of the feed that was recorded
        error = ConnectionClosed(record.code, record.reason or _FAILED) if record.failed else None
        self._enter(FeedStateChange(state, record.reason, record.attempt, record.delay_s, error))

    def _entries(self) -> Iterator[tuple[int, Entry]]:
        """All entries from *since* on; those before it have only brought the books up to date."""
        with RecordingReader(self._name) as reader:
            for read in reader.blocks(since_us=self._since_us):
                if isinstance(read, Damage):
                    yield from self._skip(read)
                elif self._since_us is None:
                    yield from reader.entries(read)
                else:
                    yield from self._not_before(self._since_us, reader.entries(read))
            if reader.torn is not None:
                logger.warning("%s: ignored the last %d bytes, an unfinished block", self._name, reader.torn.size)

    def _skip(self, damage: Damage) -> Iterator[tuple[int, Entry]]:
        text = f"{damage.text} (at byte {damage.offset})"
        if not self._skip_damaged:
            raise RecordingError(self._name, f"{text}; skip_damaged=True leaves it out")
        logger.warning("%s: %s; left out", self._name, text)
        yield self._now_us, StateRecord("state", FeedState.WAITING.value, text, 1, failed=True)
        yield self._now_us, StateRecord("state", FeedState.LIVE.value, "connected")

    def _not_before(self, since_us: int, entries: Iterator[tuple[int, Entry]]) -> Iterator[tuple[int, Entry]]:
        for at_us, entry in entries:
            if at_us >= since_us:
                yield at_us, entry
            else:
                self._settle(entry)


def _microseconds(since: datetime | float | None) -> int | None:
    if since is None:
        return None
    if isinstance(since, datetime):
        if since.tzinfo is None:
            raise ConfigurationError(f"since={since} has no time zone; use since.astimezone() or tzinfo=UTC")
        seconds = since.astimezone(UTC).timestamp()
    else:
        seconds = since
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ConfigurationError(f"since={since!r} must be a datetime or Unix seconds")
    return round(seconds * 1e6)
