"""A feed of market data that gets its frames without a socket."""

from __future__ import annotations

import time

import cryptoproto as cp
from cryptoproto.market_data import FeedState, FeedStateChange
from cryptoproto.market_data.link import typed_update

from .busy_market import URL

__all__ = ["FrameFeed"]


class FrameFeed(cp.Feed):
    """Does what a feed does with a frame from its link: decode, update the book, queue."""

    def __init__(self) -> None:
        super().__init__(URL, pairs=None, max_queue=1000, time=time.monotonic)

    def start(self) -> None:
        self._begin()
        self._enter(FeedStateChange(FeedState.LIVE, "connected"))

    async def close(self) -> None:
        self._end(None)

    def receive(self, raw: bytes) -> None:
        self._on_update(typed_update(raw))
