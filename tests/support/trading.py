"""Clients of an embedded exchange, with a few words for talking to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.link import ClientLink
from cryptoproto.transport import MemoryLink, TransportOpener, memory_opener
from cryptoproto.wire import ClientSession
from tests.support.peer import settle
from tests.support.raw import RawClient

__all__ = ["Clock", "Floor", "Linked", "in_memory", "limit", "linked", "read_until", "trade"]

RICH = {"USD": "1000000", "BTC": "100"}


class Clock:
    """Unix time that passes when a test says so."""

    def __init__(self) -> None:
        self.ns = 1_700_000_000_123_456_789

    def __call__(self) -> int:
        return self.ns

    def advance(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


def limit(side: str, amount: str, price: str, client_order_id: int | None = None, ttl: int = 0) -> dict[str, Any]:
    """A limit order for bitcoin."""
    order = {"@type": f"Place{side}LimitOrder", "trade_pair": "BTC_USD", "amount": amount, "price": price, "ttl": ttl}
    return order if client_order_id is None else order | {"client_order_id": client_order_id}


class Floor:
    """An exchange and the keys of those who trade on it."""

    def __init__(self, exchange: Exchange, keys: dict[str, cp.PrivateKey], options: dict[str, Any]) -> None:
        self.exchange = exchange
        self.keys = keys
        self.options = options

    def connect(self, client_id: str = "alice", **options: Any) -> cp.connect:
        arguments: dict[str, Any] = {
            "client_id": client_id,
            "private_key": self.keys.get(client_id, self.keys["alice"]),
            "server_key": self.exchange.public_key,
        }
        arguments |= self.options | options
        url = arguments.pop("url", None) or self.exchange.url
        return cp.connect(url, **arguments)

    def funds(self, client_id: str) -> dict[str, tuple[Decimal, Decimal]]:
        """Available and on hold by currency."""
        balances = self.exchange.balances(client_id).balances
        return {currency: (each.available, each.on_hold) for currency, each in balances.items()}


@asynccontextmanager
async def trade(keys: dict[str, cp.PrivateKey], options: dict[str, Any], **more: Any) -> AsyncIterator[Floor]:
    """An exchange on real sockets with alice and bob registered; *options* are those of their connections."""
    async with Exchange(private_key=keys["exchange"], **more) as exchange:
        for client_id in ("alice", "bob"):
            exchange.register(client_id, keys[client_id].public_key, RICH)
        yield Floor(exchange, keys, options)


def in_memory(exchange: Exchange) -> TransportOpener:
    """An opener of links to *exchange* without a socket, for virtual time."""
    return memory_opener(lambda: ClientLink(exchange))


class Linked(NamedTuple):
    """Alice on a link in memory: her end, and that of the exchange with its transport."""

    exchange: Exchange
    client: RawClient
    session: ClientSession
    link: ClientLink
    transport: MemoryLink


@asynccontextmanager
async def linked(
    keys: dict[str, cp.PrivateKey], balances: dict[str, str] | None = None, **options: Any
) -> AsyncIterator[Linked]:
    """An exchange with *options* and one link, over which alice has shaken hands (V5)."""
    exchange = Exchange(private_key=keys["exchange"], **options)
    exchange.register("alice", keys["alice"].public_key, balances)
    async with RawClient.over(in_memory(exchange)) as client:
        session = await client.shake_hands(keys, cp.Protocol.V5)
        await settle()
        (link,) = exchange.links
        transport = link._transport
        assert isinstance(transport, MemoryLink)
        yield Linked(exchange, client, session, link, transport)


async def read_until(connection: cp.Connection, is_last: Callable[[cp.Event], bool]) -> list[cp.Event]:
    """The events up to the first for which *is_last* is true."""
    events: list[cp.Event] = []
    async with asyncio.timeout(20):
        async for event in connection:
            events.append(event)
            if is_last(event):
                return events
    raise AssertionError("the iteration ended before")
