"""A market-data server in memory that says what a test tells it to, and the messages it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import cryptoproto as cp
from cryptoproto.messages import encode
from cryptoproto.transport import Closed, Listener, MemoryLink, OpenOptions, Transport, memory_pair
from cryptoproto.wire import market_frame, market_hello

__all__ = ["FeedPeer", "FeedServer", "StubbornServer", "book", "disabled", "enabled", "settle", "trade"]

START = (1_700_000_000, 123)


def book(
    order_id: int = 1,
    buys: Mapping[str, str] | None = None,
    sells: Mapping[str, str] | None = None,
    *,
    pair: str = "BTC_USD",
) -> cp.OrderBookAgg:
    return cp.OrderBookAgg(
        pair, order_id, _exact({"100": "1"} if buys is None else buys), _exact({"101": "2"} if sells is None else sells)
    )


def _exact(levels: Mapping[str, str]) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(volume) for price, volume in levels.items()}


def trade(order_id: int = 1, price: str = "100", *, pair: str = "BTC_USD") -> cp.AnonymousTrade:
    return cp.AnonymousTrade(pair, order_id, Decimal(1), Decimal(price), True, START)


def enabled(*pairs: str) -> cp.TradesEnabledOnPairs:
    return cp.TradesEnabledOnPairs(list(pairs))


def disabled(*pairs: str) -> cp.TradesDisabledOnPairs:
    return cp.TradesDisabledOnPairs(list(pairs))


async def settle() -> None:
    """Give everything that is ready its turn; no time passes."""
    for _ in range(20):
        await asyncio.sleep(0)


class FeedPeer:
    """The server's end of one link."""

    def __init__(self, script: Callable[[FeedPeer], None]) -> None:
        self.closed: Closed | None = None
        self._script = script
        self._link: MemoryLink | None = None

    @property
    def link(self) -> MemoryLink:
        assert self._link is not None
        return self._link

    def hello(self, version: int = 1) -> None:
        self.link.send(market_hello(version))

    def say(self, *messages: cp.Message | Mapping[str, Any]) -> None:
        for message in messages:
            self.link.send(market_frame(encode(message)))

    def close(self, code: int, reason: str = "") -> None:
        self.link.close(code, reason, 1.0)

    def on_open(self, transport: Transport) -> None:
        assert isinstance(transport, MemoryLink)
        self._link = transport
        self._script(self)

    def on_message(self, data: bytes, more: bool = False) -> None:
        raise AssertionError("the feed is read only")

    def on_text(self, text: str) -> None:
        raise AssertionError("the feed is read only")

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        self.closed = closed


class FeedServer:
    """An opener whose links end at a new :class:`FeedPeer` each, greeted by *script*.

    Attributes:
        peers: all that there ever were, in order.
        links: the feed's end of each.
        opened_at: the loop's time of each attempt, refused ones too.
        refusal: raised by each attempt while it is set.
        blocked: attempts do not return while it is set, as if nobody answered.
    """

    def __init__(self, script: Callable[[FeedPeer], None] = FeedPeer.hello) -> None:
        self.peers: list[FeedPeer] = []
        self.links: list[MemoryLink] = []
        self.opened_at: list[float] = []
        self.refusal: Exception | None = None
        self.blocked = False
        self.script = script

    @property
    def peer(self) -> FeedPeer:
        """The newest."""
        return self.peers[-1]

    async def __call__(self, url: str, listener: Listener, options: OpenOptions) -> Transport:
        self.opened_at.append(asyncio.get_running_loop().time())
        if self.refusal is not None:
            raise self.refusal
        if self.blocked:
            await asyncio.get_running_loop().create_future()
        self.peers.append(FeedPeer(self.script))
        self.links.append(memory_pair(listener, self.peer)[0])
        return self.links[-1]

    def feed(self, **options: Any) -> cp.MarketData:
        """A feed from here, with delays of 1, 2, 4, 8, 8, … seconds, and books that age by the loop's clock."""
        options.setdefault("backoff", cp.Backoff(1.0, 8.0, random=lambda: 1.0))
        return cp.MarketData("ws://localhost", transport=self, time=asyncio.get_running_loop().time, **options)


class Stubborn(MemoryLink):
    """A peer that does not answer the goodbye."""

    closing = False

    def close(self, code: int, reason: str, timeout: float) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_later(timeout, self.abort)


class StubbornServer(FeedServer):
    async def __call__(self, url: str, listener: Any, options: Any) -> Any:
        self.peers.append(FeedPeer(self.script))
        here, there = Stubborn(listener), MemoryLink(self.peer)
        here.join(there)
        self.peer.on_open(there)
        listener.on_open(here)
        return here
