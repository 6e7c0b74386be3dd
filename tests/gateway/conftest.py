"""A NATS server, an exchange, and a gateway between them."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway
from tests.support.nats_server import NatsServer, nats_server


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with nats_server(tmp_path) as server:
        yield server


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
        backoff=cp.Backoff(initial=0.01, cap=0.05),
    ) as gateway:
        await gateway.wait_owner()
        yield gateway


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what needs a NATS server, unless ``GATEWAY=1`` asks for it.

    The room is not finished: a few of these tests fail now and then, and nobody knows yet whether the gateway or the
    test is wrong.
    """
    if os.environ.get("GATEWAY"):
        return
    skip = pytest.mark.skip(reason="the tests of the gateway with a NATS server are run with GATEWAY=1")
    for item in items:
        needs = {"nats", "desk", "gateway"}.intersection(getattr(item, "fixturenames", ()))
        if Path(__file__).parent in item.path.parents and (needs or item.path.stem == "test_takeover"):
            item.add_marker(skip)
