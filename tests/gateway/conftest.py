"""A NATS server, an exchange, and a gateway between them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway
from cryptoproto.gateway.nats_connection import NatsConnection, close_nats, open_nats
from tests.support.nats_server import NatsServer, nats_server


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path) as server:
        yield server


@pytest.fixture
async def nc(nats: NatsServer) -> AsyncIterator[NatsConnection]:
    nc = NatsConnection()
    await open_nats(nc, nats.url, "test", inbox="_INBOX.test")
    yield nc
    await close_nats(nc)


@pytest.fixture
async def exchange(keys: dict[str, cp.PrivateKey]) -> AsyncIterator[Exchange]:
    async with Exchange(private_key=keys["exchange"]) as exchange:
        for client_id in ("alice", "bob"):
            exchange.register(client_id, keys[client_id].public_key, balances={"USD": "1000000", "BTC": "10"})
        yield exchange


@pytest.fixture
async def gateway(nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]) -> AsyncIterator[Gateway]:
    """The owner."""
    async with Gateway(
        nats.url,
        url=exchange.url,
        client_id="alice",
        private_key=keys["alice"],
        server_key=exchange.public_key,
        lease_s=20,  # on a busy machine, everything in this process can stop for a second
        backoff=cp.Backoff(initial=0.01, cap=0.05),
    ) as gateway:
        await gateway.wait_owner()
        yield gateway
