"""What ends an ownership, and what comes after it."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient
from tests.support.nats_server import NatsServer


def member(nats: NatsServer, exchange: Exchange, key: cp.PrivateKey, **options: Any) -> Gateway:
    arguments: dict[str, Any] = {
        "url": exchange.url,
        "client_id": "alice",
        "private_key": key,
        "server_key": exchange.public_key,
        "lease_s": 0.6,
        "backoff": cp.Backoff(initial=0.01, cap=0.05),
    }
    return Gateway(nats.url, **(arguments | options))


async def test_a_gateway_with_a_wrong_key_ends_and_holds_nobody_up(
    nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    async with member(nats, exchange, keys["bob"]) as wrong:
        with pytest.raises(cp.HandshakeError):
            await wrong.wait_closed()
        with pytest.raises(cp.HandshakeError):
            await wrong.wait_owner()
        async with member(nats, exchange, keys["alice"]) as right:  # while the process of the other goes on
            await right.wait_owner()
            assert not wrong.is_owner


async def test_a_standby_follows_when_the_owner_cannot_reach_the_exchange(
    nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    async with member(nats, exchange, keys["alice"], url="ws://127.0.0.1:1") as cut_off:
        await cut_off.wait_owner()
        async with member(nats, exchange, keys["alice"]) as other:
            await other.wait_owner()
            assert not cut_off.is_owner


async def test_two_writers_of_the_log_and_the_events(
    gateway: Gateway, nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    """Whoever else writes to a stream ends the ownership, also if nothing is to be written; it is taken up anew."""
    fence = gateway.fence
    async with GatewayClient(nats.url, client_id="alice", strategy="one") as client:
        await client.place("BTC_USD", "buy", amount="0.1", price="100", wait=True)
        await client._nc.jetstream().publish("cryptoproto.alice.log", b'[{"type":"connected","last_sequence":0}]')
        with pytest.raises(cp.RequestError):
            await client.place("BTC_USD", "buy", amount="0.1", price="100", timeout=0.2)
        await gateway.wait_lost()
        await client.place("BTC_USD", "buy", amount="0.1", price="100", wait=True)
        assert gateway.fence > fence


async def test_a_gateway_that_is_closed_says_so(gateway: Gateway) -> None:
    await gateway.close()
    assert not gateway.is_owner
    with pytest.raises(GatewayError, match="closed"):
        await gateway.wait_owner()


async def test_a_log_of_a_newer_version_is_left_alone(
    nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    async with member(nats, exchange, keys["alice"]) as gateway:
        await gateway.wait_owner()
    async with GatewayClient(nats.url, client_id="alice", strategy="one") as client:
        await client._nc.jetstream().publish("cryptoproto.alice.log", b'[{"type":"something new"}]')
    async with member(nats, exchange, keys["alice"]) as gateway:
        with pytest.raises(cp.DecodeError, match="without records"):
            await gateway.wait_closed()
