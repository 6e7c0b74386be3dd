"""What ends an ownership, and what comes after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import nats.errors as nats_errors
import pytest
from nats.js.api import StreamState

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError, OwnershipLost
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient
from cryptoproto.gateway.calls import OwnerState
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.owner import ownership as ownership_module
from cryptoproto.gateway.owner.ownership import Ownership
from cryptoproto.gateway.records import Connected, LogRecord, Takeover, encode_records
from cryptoproto.gateway.streams import Stored
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
    nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    """Whoever else writes to a stream ends the ownership, also if nothing is to be written; it is taken up anew."""
    async with (
        member(nats, exchange, keys["alice"], lease_s=2) as gateway,
        GatewayClient(nats.url, client_id="alice", strategy="one") as client,
    ):
        await client.place("BTC_USD", "buy", amount="0.1", price="100", wait=True)
        fence = gateway.fence
        losing = asyncio.ensure_future(gateway.wait_lost())  # before it is lost: it is soon taken up again
        await client._nc.jetstream().publish("cryptoproto.alice.log", b'[{"type":"connected","last_sequence":0}]')
        with pytest.raises(cp.RequestError):
            await client.place("BTC_USD", "buy", amount="0.1", price="100", timeout=0.2)
        await losing
        await client.place("BTC_USD", "buy", amount="0.1", price="100", timeout=60, wait=True)
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


async def test_a_newer_owner_has_written_to_the_log(
    nats: NatsServer, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    """Its fence is higher: this one gives the lease up, again and again, until its own fence is higher still."""
    async with member(nats, exchange, keys["alice"]) as gateway:
        await gateway.wait_owner()
        fence = gateway.fence
    async with GatewayClient(nats.url, client_id="alice", strategy="one") as client:
        newer = encode_records(Takeover(fence + 4, "host:1:a"))
        await client._nc.jetstream().publish("cryptoproto.alice.log", newer)
    async with member(nats, exchange, keys["alice"]) as gateway, asyncio.timeout(30):
        await gateway.wait_owner()
        assert gateway.fence >= fence + 4


class World:
    """In the place of everything that an ownership stands on, to run parts of it alone."""

    def __init__(self) -> None:
        self.holds = True
        self.is_down = False
        self.published: list[str] = []
        fake: Any = self
        self.ownership = Ownership(
            fake, fake, Names("alice"), fake, 3, "host:1:a", lambda: self.holds, 0.2, fake, fake, None
        )

    async def publish(self, subject: str, _data: bytes) -> None:
        if self.is_down:
            raise nats_errors.ConnectionClosedError
        self.published.append(subject)

    def new_inbox(self) -> str:
        return "_INBOX.test"

    async def reports(self) -> AsyncIterator[object]:
        yield "an order is not known to the exchange"


async def test_the_state_before_the_client_was_opened() -> None:
    world = World()
    assert world.ownership.state == OwnerState(3, "connecting", "taking over", -1)
    await world.ownership._publish_state()
    world.is_down = True
    await world.ownership._publish_state()
    assert world.published == ["cryptoproto.alice.state"]


async def test_what_differs_after_a_resume_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "cryptoproto.gateway")
    world = World()
    client: Any = world
    await world.ownership._report(client)
    assert "not known to the exchange" in caplog.text


async def test_the_lease_ends_during_the_takeover(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.holds = False

    async def nothing(*_: Any) -> AsyncIterator[Stored]:
        stored: list[Stored] = []
        for each in stored:
            yield each

    async def empty(*_: Any) -> StreamState:
        return StreamState(0, 0, 0, 0, 0)

    monkeypatch.setattr(ownership_module, "state_of", empty)
    monkeypatch.setattr(ownership_module, "read_stream", nothing)
    with pytest.raises(OwnershipLost, match="ended during the takeover"):
        await world.ownership._take_over_log()


async def test_the_old_owner_writes_during_the_takeover(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log is read again, with what it has written; after the record of the takeover it cannot write any more."""
    world = World()
    old = Takeover(1, "host:2:b")
    stored: list[list[LogRecord]] = [[old], [old, Connected(7)]]
    appended: list[int] = []

    async def read(*_: Any) -> AsyncIterator[Stored]:
        for number, record in enumerate(stored[len(appended)], 1):
            yield Stored(number, encode_records(record))

    async def state(*_: Any) -> StreamState:
        count = len(stored[len(appended)])
        return StreamState(count, count, 1, count, 0)

    class Writer:
        def __init__(self, _nc: Any, _subject: str, last: int, _timeout_s: float) -> None:
            self.last = last

        async def append(self, _payload: bytes) -> int:
            appended.append(self.last)
            if len(appended) == 1:
                raise OwnershipLost("another process has written")
            self.last += 1
            return self.last

    monkeypatch.setattr(ownership_module, "state_of", state)
    monkeypatch.setattr(ownership_module, "read_stream", read)
    monkeypatch.setattr(ownership_module, "StreamWriter", Writer)
    log, writer = await world.ownership._take_over_log()
    assert (appended, log.fence, writer.last) == ([1, 2], 3, 3)


async def test_the_log_is_purged_in_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    purged: list[tuple[str, int]] = []

    async def purge(_js: Any, stream: str, number: int) -> None:
        purged.append((stream, number))

    monkeypatch.setattr(ownership_module, "purge_before", purge)
    await World().ownership._purge_log(5)
    assert purged == [("cryptoproto-alice-log", 5)]
