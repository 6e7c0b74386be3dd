"""Pings on time; a quiet link is kept, a silent one is given up, and a paused one is not judged."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from tests.support.peer import Script, settle
from tests.support.virtual_time import virtual

V5 = cp.Protocol.V5


@virtual
async def test_pings_every_four_seconds_keep_a_quiet_link(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        await asyncio.sleep(3.9)
        assert script.peer.client_link.pings == 0
        await asyncio.sleep(0.2)
        assert script.peer.client_link.pings == 1
        await asyncio.sleep(3600)
        assert script.peer.client_link.pings == 901
        assert connection.is_open


@virtual
async def test_pings_of_the_exchange_alone_keep_a_link(script: Script, alice_key: cp.PrivateKey) -> None:
    """Pongs need not come where anything else does."""
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.link.pause_reading()  # no pong from here on
        for _ in range(20):
            await asyncio.sleep(9.0)
            script.peer.link.ping()
        assert connection.is_open


@virtual
async def test_events_alone_keep_a_link(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.link.pause_reading()
        for number in range(1, 21):
            await asyncio.sleep(9.0)
            script.peer.event(number)
        await settle()
        assert connection.is_open
        assert connection.queued == 20


@virtual
async def test_silence_ends_the_link_after_ten_seconds(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5) as connection:
        script.peer.event(5)
        request = asyncio.create_task(connection.request(cp.UserBalanceRequest(), timeout=60))
        await settle()
        script.peer.link.pause_reading()
        before = loop.time()
        assert (await anext(connection)).transaction_id == 5
        with pytest.raises(cp.HeartbeatTimeout, match="nothing was received from the exchange for 10 s") as caught:
            await anext(connection)
        # At least the time that was asked for, at most one ping more.
        assert 10.0 <= loop.time() - before <= 14.0
        assert caught.value.position == 5
        assert caught.value.code is None
        with pytest.raises(cp.HeartbeatTimeout):
            await request


@virtual
async def test_custom_intervals(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5, ping_interval=1.0, ping_timeout=2.5) as connection:
        script.peer.link.pause_reading()
        before = loop.time()
        with pytest.raises(cp.HeartbeatTimeout, match=r"for 2\.5 s"):
            await anext(connection)
        assert 2.5 <= loop.time() - before <= 3.5


@virtual
async def test_without_a_ping_timeout_silence_is_no_fault(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5, ping_timeout=None) as connection:
        script.peer.link.pause_reading()
        await asyncio.sleep(3600)
        assert connection.is_open
        assert script.peer.client_link.pings == 900


@virtual
async def test_without_pings_nothing_is_sent_or_noticed(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=V5, ping_interval=None) as connection:
        script.peer.link.pause_reading()
        await asyncio.sleep(86_400)
        assert connection.is_open
        assert script.peer.client_link.pings == 0


@virtual
async def test_a_paused_link_is_not_given_up(script: Script, alice_key: cp.PrivateKey) -> None:
    """Who does not read, because events are not taken, hears no pong either."""
    async with script.connect(alice_key, protocol=V5, max_queue=10) as connection:
        script.peer.events(1, 100)
        await settle()
        assert not script.peer.client_link.reading
        await asyncio.sleep(3600)
        assert connection.is_open
        assert [(await anext(connection)).transaction_id for _ in range(100)] == list(range(1, 101))
        await asyncio.sleep(3600)
        assert connection.is_open


@virtual
async def test_silence_after_a_pause_counts_from_its_end(script: Script, alice_key: cp.PrivateKey) -> None:
    loop = asyncio.get_running_loop()
    async with script.connect(alice_key, protocol=V5, max_queue=10) as connection:
        script.peer.events(1, 20)
        await settle()
        await asyncio.sleep(100)
        script.peer.link.pause_reading()
        for _ in range(20):
            await anext(connection)
        before = loop.time()
        with pytest.raises(cp.HeartbeatTimeout):
            await anext(connection)
        # Pings that wait on the paused link were answered before, and are heard when it reads again.
        assert 9.0 <= loop.time() - before <= 15.0


@virtual
async def test_no_ping_after_the_end(script: Script, alice_key: cp.PrivateKey) -> None:
    connection = await script.connect(alice_key, protocol=V5)
    await connection.close()
    link = script.peer.client_link
    await asyncio.sleep(100)
    assert link.pings == 0


async def test_pings_of_the_exchange_are_noticed_while_the_user_is_busy(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    """The transport answers them itself: an event that nobody takes is not in their way."""
    async with script.connect(alice_key) as connection:
        script.peer.event(1)
        script.peer.link.ping()
        await script.peer.until(lambda: script.peer.heard == 1)
        assert connection.queued == 1
