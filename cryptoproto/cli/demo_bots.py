"""The bots of the demonstration. Each has its own connection and resumes by itself after a restart."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from decimal import Decimal

from ..connection import Connection, Event, connect
from ..exceptions import ConnectionClosed, HandshakeError
from ..exchange import Exchange
from ..keys import PrivateKey
from ..messages import (
    CancelAllOrders,
    Message,
    OrderPlaced,
    OwnTrade,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    SetBalance,
    UserBalanceRequest,
)
from ..transport import TransportKind
from ..wire import Protocol

__all__ = ["Bot", "MarketMaker", "Taker"]

PAIR = "BTC_USD"


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
        self._next_order = seed * 1_000_000
        self._stopping = False
        self._idle = asyncio.Event()
        self._progress = asyncio.Event()

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
                    self.connections += 1
                    await self._live(connection)
            except* (ConnectionClosed, HandshakeError):  # the exchange may go away during a handshake, too
                await asyncio.sleep(0.1)

    async def _live(self, connection: Connection) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._trade_on(connection))
            async for event in connection:
                self._on_event(event)

    async def _trade_on(self, connection: Connection) -> None:
        while not self._stopping:
            await self.act(connection)
            started = time.perf_counter()
            await connection.request(UserBalanceRequest())
            self.round_trips.append(time.perf_counter() - started)
            await asyncio.sleep(self._random.uniform(0.02, 0.08))
        self._idle.set()

    @abstractmethod
    async def act(self, connection: Connection) -> None:
        """Make one move: send the orders of this bot."""

    async def place(self, connection: Connection, kind: type[Message], amount: Decimal, price: Decimal) -> None:
        """Send one order."""
        self._next_order += 1
        self._pending[self._next_order] = time.perf_counter()
        self.sent += 1
        fields = {
            "@type": kind.__name__,
            "trade_pair": PAIR,
            "amount": amount,
            "price": price,
            "client_order_id": self._next_order,
            "ttl": 0,
        }
        await connection.send(fields)

    async def stop_trading(self) -> None:
        """Send nothing more but keep listening; returns when the exchange has processed everything that was sent."""
        self._stopping = True
        await self._idle.wait()  # the last thing sent was a request, and its response follows everything else

    async def caught_up(self, last_id: int) -> None:
        """Wait until *last_id* was received."""
        while not self.ids or self.ids[-1] < last_id:
            self._progress.clear()
            await self._progress.wait()

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

    async def act(self, connection: Connection) -> None:
        """Cancel all quotes and place new ones."""
        self._middle += Decimal(self._random.randint(-300, 300)) / 100
        await connection.send(CancelAllOrders())
        for level in range(1, 4):
            offset = self._spread * level
            amount = Decimal(self._random.randint(1, 50)) / 100
            await self.place(connection, PlaceBuyLimitOrder, amount, self._middle - offset)
            await self.place(connection, PlaceSellLimitOrder, amount, self._middle + offset)


class Taker(Bot):
    """Takes liquidity, with every kind of order."""

    _KINDS = (PlaceBuyIoCOrder, PlaceSellIoCOrder, PlaceBuyFoKOrder, PlaceSellFoKOrder, PlaceBuyLimitOrder)

    async def act(self, connection: Connection) -> None:
        """Send one order that crosses the spread."""
        kind = self._random.choice(self._KINDS)
        buys = "Buy" in kind.__name__
        amount = Decimal(self._random.randint(1, 40)) / 100
        await self.place(connection, kind, amount, Decimal(15200 if buys else 14800))
