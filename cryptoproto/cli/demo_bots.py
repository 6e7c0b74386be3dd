"""The bots of the demonstration. Each has its own connection and resumes by itself after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from decimal import Decimal

from ..client import Client, State
from ..connection import Connection, Event, connect
from ..exceptions import ConnectionClosed, HandshakeError, RequestError
from ..exchange import Exchange
from ..instruments import Instrument
from ..keys import PrivateKey
from ..messages import (
    OrderPlaced,
    OwnTrade,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    SetBalance,
    UserBalanceRequest,
)
from ..quotes import Quotes
from ..transport import TransportKind
from ..wire import Protocol

__all__ = ["Bot", "MarketMaker", "Taker"]

PAIR = "BTC_USD"
_INSTRUMENT = Instrument(PAIR, tick_size=1, lot_size="0.01")


class Bot(ABC):
    """A client that trades and records the events that it receives.

    Attributes:
        ids: every transaction id received, in the order of arrival.
        digest: a hash over the id and payload of every transaction, to compare with the history of the exchange.
        available: the available balances according to the events.
        latencies: seconds from sending an order to reading its acknowledgement.
        round_trips: seconds that each balance request took.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.name: str = name
        self.key: PrivateKey = PrivateKey.generate()
        self.ids: list[int] = []
        self.digest: hashlib._Hash = hashlib.sha256()
        self.available: dict[str, Decimal] = {}
        self.latencies: list[float] = []
        self.round_trips: list[float] = []
        self.sent: int = 0
        self.trades: int = 0
        self.connections: int = 0
        self.last_trades: deque[OwnTrade] = deque(maxlen=6)
        self._random = random.Random(seed)  # noqa: S311 - prices, not secrets
        self._pending: dict[int, float] = {}
        self._stopping = False
        self._idle = asyncio.Event()
        self._progress = asyncio.Event()

    @abstractmethod
    async def run(self, exchange: Exchange, transport: TransportKind, protocol: Protocol) -> None:
        """Trade until cancelled, and resume after a lost connection."""

    async def trade(self, move: Callable[[], Awaitable[None]], ask: Callable[[], Awaitable[object]]) -> None:
        """Make a move and time a request, again and again until trading is stopped."""
        while not self._stopping:
            await move()
            started = time.perf_counter()
            await ask()
            self.round_trips.append(time.perf_counter() - started)
            await asyncio.sleep(self._random.uniform(0.02, 0.08))
        self._idle.set()

    async def stop_trading(self) -> None:
        """Send nothing more but keep listening; returns when the exchange has processed everything that was sent."""
        self._stopping = True
        await self._idle.wait()  # the last thing sent was a request, and its response follows everything else

    async def caught_up(self, last_id: int) -> None:
        """Wait until *last_id* was received."""
        while not self.ids or self.ids[-1] < last_id:
            self._progress.clear()
            await self._progress.wait()

    def _count(self, *, sent: int = 0, connections: int = 0) -> None:
        self.sent += sent
        self.connections += connections

    def _on_event(self, event: Event) -> None:
        if event.transaction_id is None:
            return
        self.ids.append(event.transaction_id)
        self.digest.update(b"%d %b\n" % (event.transaction_id, event.raw))
        message = event.message
        if isinstance(message, SetBalance):
            self.available[message.currency] = message.balance
        elif isinstance(message, OwnTrade):
            self.trades += 1
            self.last_trades.append(message)
        elif isinstance(message, OrderPlaced) and message.client_order_id is not None:
            started = self._pending.pop(message.client_order_id, None)
            if started is not None:
                self.latencies.append(time.perf_counter() - started)
        self._progress.set()


class MarketMaker(Bot):
    """Keeps a ladder of bids and asks around a price that moves at random."""

    def __init__(self, name: str, seed: int, spread: Decimal) -> None:
        super().__init__(name, seed)
        self._middle = Decimal(15000)
        self._spread = spread

    async def run(self, exchange: Exchange, transport: TransportKind, protocol: Protocol) -> None:
        """Quote until cancelled. The client reconnects by itself, and the quotes are repaired."""
        async with (
            Client(
                exchange.url,
                client_id=self.name,
                private_key=self.key,
                server_key=exchange.public_key,
                transport=transport,
                protocol=protocol,
                on_event=self._on_event,
            ) as client,
            Quotes(client, PAIR, instrument=_INSTRUMENT, cancel_on_exit=False) as quotes,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._count_connections(client))
            await self.trade(lambda: self._requote(quotes), lambda: self._ask(client))

    async def _requote(self, quotes: Quotes) -> None:
        """Move the ladder to where the price is."""
        self._middle += Decimal(self._random.randint(-300, 300)) / 100
        offsets = [self._spread * level for level in range(1, 4)]
        update = await quotes.update(
            bids=[(self._middle - offset, "0.25") for offset in offsets],
            asks=[(self._middle + offset, "0.25") for offset in offsets],
        )
        self._count(sent=len(update.placed))
        self.latencies.extend(
            (order.acknowledged_ns - order.created_ns) / 1e9
            for order in update.placed
            if order.acknowledged_ns is not None
        )

    async def _ask(self, client: Client) -> None:
        with contextlib.suppress(ConnectionClosed, RequestError):  # while the exchange restarts
            await client.balances()

    async def _count_connections(self, client: Client) -> None:
        async for change in client.states():
            self._count(connections=change.state is State.LIVE)


class Taker(Bot):
    """Takes liquidity, with every kind of order, on connections of which it opens each itself."""

    _KINDS = (PlaceBuyIoCOrder, PlaceSellIoCOrder, PlaceBuyFoKOrder, PlaceSellFoKOrder, PlaceBuyLimitOrder)

    def __init__(self, name: str, seed: int) -> None:
        super().__init__(name, seed)
        self._next_order = seed * 1_000_000

    async def run(self, exchange: Exchange, transport: TransportKind, protocol: Protocol) -> None:
        """Trade until cancelled. When the link is lost, connect again and resume after the last transaction."""
        while True:
            try:
                async with connect(
                    exchange.url,
                    client_id=self.name,
                    private_key=self.key,
                    server_key=exchange.public_key,
                    resume_from=self.ids[-1] if self.ids else 0,
                    transport=transport,
                    protocol=protocol,
                ) as connection:
                    self._count(connections=1)
                    await self._live(connection)
            except* (ConnectionClosed, HandshakeError):  # the exchange may go away during a handshake, too
                await asyncio.sleep(0.1)

    async def _live(self, connection: Connection) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(
                self.trade(lambda: self._take(connection), lambda: connection.request(UserBalanceRequest()))
            )
            async for event in connection:
                self._on_event(event)

    async def _take(self, connection: Connection) -> None:
        """Send one order that crosses the spread."""
        kind = self._random.choice(self._KINDS)
        self._next_order += 1
        self._pending[self._next_order] = time.perf_counter()
        self._count(sent=1)
        await connection.send(
            {
                "@type": kind.__name__,
                "trade_pair": PAIR,
                "amount": Decimal(self._random.randint(1, 40)) / 100,
                "price": Decimal(15200 if "Buy" in kind.__name__ else 14800),
                "client_order_id": self._next_order,
                "ttl": 0,
            }
        )
