"""A client on an exchange, with an order that rests and one that was filled."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.status import StatusServer, serve_status

TOKEN = "a-token-for-tests"


@pytest.fixture
async def client(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> AsyncIterator[cp.Client]:
    async with Exchange(private_key=exchange_key, book_interval=0.001) as exchange:
        exchange.register("alice", alice_key.public_key, {"USD": "1000000", "BTC": "100"})
        async with cp.Client(
            exchange.url, client_id="alice", private_key=alice_key, server_key=exchange_key.public_key
        ) as client:
            await client.place("BTC_USD", "buy", amount="2", price="100")
            yield client


@pytest.fixture
async def status(client: cp.Client) -> AsyncIterator[StatusServer]:
    """A read-only server."""
    async with serve_status(client, token=TOKEN) as status:
        yield status


@pytest.fixture
async def http(status: StatusServer) -> AsyncIterator[httpx.AsyncClient]:
    """A client of *status* without a token."""
    async with httpx.AsyncClient(base_url=status.address, trust_env=False) as http:
        yield http
