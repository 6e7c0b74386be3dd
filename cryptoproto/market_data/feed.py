"""The public market-data feed, which reconnects by itself: books, trades, and which pairs are traded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Final, Self, Unpack

from ..arguments import redacted
from ..exceptions import ConfigurationError, UnsupportedVersion
from ..profiles import Profile
from ..reconnect.backoff import Backoff
from ..reconnect.reachability import announce
from .arguments import FeedArguments, FeedOverrides, feed_arguments
from .base import Feed, logger
from .link import FeedLink, FeedOptions
from .states import FeedState, FeedStateChange

__all__ = ["MarketData"]

_CLOSE_TIMEOUT: Final = 5.0
_HEALTHY_AFTER: Final = 10.0
"""Seconds that a connection has to last before the backoff is reset: one heartbeat timeout. A server that accepts
connections and drops them at once is then not asked twice a second for ever."""


class MarketData(Feed):
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
        super().__init__(redacted(url), pairs=pairs, max_queue=self._options.max_queue, time=time)
        self._backoff = backoff or Backoff()
        self._link: FeedLink | None = None
        self._live_since: float | None = None
        self._runner: asyncio.Task[None] | None = None

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

    # Starting and closing

    def start(self) -> None:
        """Start connecting; ``async with`` does this.

        Raises:
            ConfigurationError: the feed was started before.
            RuntimeError: no event loop is running.
        """
        loop = asyncio.get_running_loop()
        self._begin()
        self._enter(FeedStateChange(FeedState.CONNECTING, "connecting", self._backoff.attempts))
        self._runner = loop.create_task(self._run(), name="cryptoproto-market-data")
        self._runner.add_done_callback(self._on_runner_done)

    async def close(self, timeout: float = _CLOSE_TIMEOUT) -> None:
        """Close the feed, within *timeout* seconds even if the server does not respond. Idempotent.

        Afterwards all books are stale. Queued updates other than books can still be iterated over. If cancelled, the
        feed closes all the same.
        """
        self._end(None, self._backoff.attempts)
        link, runner = self._link, self._runner
        if link is not None:
            link.close(timeout)
        if runner is not None:
            runner.cancel()
            await asyncio.wait([runner], timeout=timeout)  # a custom opener may ignore its cancellation
        if link is not None:
            await link.wait_gone()

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
            self._enter(FeedStateChange(FeedState.CONNECTING, "connecting", waiting.attempt, error=waiting.error))

    def _on_runner_done(self, runner: asyncio.Task[None]) -> None:
        error = None if runner.cancelled() else runner.exception()
        if isinstance(error, Exception):  # a custom opener may raise anything
            logger.error("%s: the feed has ended", self._name, exc_info=error)
            self._end(error, self._backoff.attempts)

    def _on_live(self) -> None:
        self._live_since = asyncio.get_running_loop().time()
        announce(self._options.url)
        self._enter(FeedStateChange(FeedState.LIVE, "connected"))
        logger.info("%s: connected", self._name)

    def _on_link_ended(self, error: Exception) -> None:
        self._forget()
        if isinstance(error, UnsupportedVersion | ConfigurationError):
            logger.error("%s: the feed has ended: %s", self._name, error)
            self._end(error, self._backoff.attempts)
            return
        since, self._live_since = self._live_since, None
        if since is not None and asyncio.get_running_loop().time() - since >= _HEALTHY_AFTER:
            self._backoff.reset()
        delay = self._backoff.next_delay()
        logger.warning("%s: %s; next attempt in %.3f s", self._name, error, delay)
        self._enter(FeedStateChange(FeedState.WAITING, str(error), self._backoff.attempts, delay, error))
