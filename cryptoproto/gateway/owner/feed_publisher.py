"""Publishes the exchange's market data on NATS, so that one connection serves all strategies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import msgspec
import nats.errors
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

from ...exceptions import CryptoprotoError
from ...market_data import MarketData, MarketUpdate
from ...messages import OrderBookAgg, TradingRules, Unknown, encode
from ...wire import market_frame
from ..feed_codec import FeedBeat, Numbered, encode_update
from ..names import Names, is_inbox_of
from ..nats_connection import unsubscribe

__all__ = ["FeedPublisher"]

logger: logging.Logger = logging.getLogger("cryptoproto.gateway")

_BEAT_S: Final = 1.0


class FeedPublisher:
    """Reads a feed all the time, and publishes it while this process is the owner.

    A standby reads, too, so that it has every book when it takes over. If NATS takes less than the feed brings, the
    feed conflates.

    Args:
        nc: the connection to NATS.
        names: of subjects.
        feed: the market data; not started yet.
        fence: of this process; 0 if it is not the owner.

    Attributes:
        published: how many updates were published.
    """

    def __init__(self, nc: Nats, names: Names, feed: MarketData, fence: Callable[[], int]) -> None:
        self.published: int = 0
        self._nc = nc
        self._names = names
        self._feed = feed
        self._fence = fence
        self._numbered_for = 0  # the fence that the numbers belong to
        self._numbers: dict[str, int] = {}
        self._latest: dict[str, Numbered] = {}  # the last book, or rules, by pair

    async def run(self) -> None:
        """Publish until the feed is closed, or has ended by itself, which is logged: orders do not depend on it."""
        subscription = await self._nc.subscribe(self._names.market_request("*"), cb=self._on_request)
        beating = asyncio.ensure_future(self._beat())
        try:
            async with self._feed:
                async for update in self._feed:
                    await self._publish(update)
        except CryptoprotoError:
            logger.exception("there is no market data from here on")
        finally:
            beating.cancel()
            await asyncio.wait([beating])
            await unsubscribe(subscription)

    async def _publish(self, update: MarketUpdate) -> None:
        self._renumber()
        pair = getattr(update, "trade_pair", "")
        frame = market_frame(encode(update.payload if isinstance(update, Unknown) else update))
        number = self._numbers[pair] = self._numbers.get(pair, 0) + 1
        numbered = Numbered(self._numbered_for, number, isinstance(update, OrderBookAgg), pair, frame)
        if isinstance(update, OrderBookAgg | TradingRules):
            self._latest[pair] = numbered
        if self._numbered_for:
            await self._send(self._names.market_of(pair), encode_update(numbered))
            self.published += 1

    def _renumber(self) -> None:
        """A new ownership counts from 1."""
        fence = self._fence()
        if fence != self._numbered_for:
            self._numbered_for = fence
            self._numbers = {}
            self._latest = {pair: each._replace(fence=fence, number=0) for pair, each in self._latest.items()}

    async def _beat(self) -> None:
        states = self._feed.states()
        try:
            while True:
                if not self._feed.is_connected:
                    self._latest.clear()
                if self._fence():
                    await self._send(self._names.market_beat, msgspec.json.encode(self._state()))
                try:
                    async with asyncio.timeout(_BEAT_S):
                        await anext(states)
                except TimeoutError:
                    pass
                except StopAsyncIteration:
                    return
        finally:
            states.close()

    def _state(self) -> FeedBeat:
        self._renumber()
        books = sorted(pair for pair in self._latest if pair)
        return FeedBeat(self._fence(), self._feed.is_connected, dict(self._numbers), books)

    async def _on_request(self, message: Msg) -> None:
        """Somebody asks for what there is, or for the latest book of a pair."""
        fence = self._fence()
        if not fence or not is_inbox_of(message.reply, self._names.strategy_of(message.subject)):
            return
        pair = message.data.decode("utf-8", "replace")
        if pair == "?":
            await self._send(message.reply, msgspec.json.encode(self._state()))
            return
        self._renumber()
        latest = self._latest.get(pair, Numbered(fence, 0, False, pair[:60], b""))
        await self._send(message.reply, encode_update(latest))

    async def _send(self, subject: str, data: bytes) -> None:
        try:
            await self._nc.publish(subject, data)
        except nats.errors.Error as error:
            logger.debug("market data could not be published: %s", error)
