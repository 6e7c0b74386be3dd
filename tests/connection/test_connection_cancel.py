"""Cancellation at every await: no task, no half state, no lost event, no gap in the sequences."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.transport import TransportKind
from tests.support.peer import Peer, Script, settle
from tests.support.stepping import CancelAt
from tests.support.virtual_time import jump

BALANCE = cp.UserBalanceRequest()
CANCEL_ALL = cp.CancelAllOrders()
MOST_STEPS = 50
HOLD_S = 5  # less than any deadline here

moments = pytest.mark.parametrize("late", [False, True], ids=["at the await", "after its result"])


async def cancelled_at(coroutine: Coroutine[Any, Any, Any], step: int, late: bool) -> tuple[bool, Any]:
    """Whether there was such an await, and the result, or the CancelledError."""
    stepping = CancelAt(coroutine, step, late=late)
    async with asyncio.timeout(20):
        result = (await asyncio.gather(asyncio.create_task(stepping.run()), return_exceptions=True))[0]
    assert not isinstance(result, Exception), result
    return stepping.reached, result


async def every_step(attempt: Callable[[int], Coroutine[Any, Any, bool]]) -> int:
    """Make the attempt for each await there is; how many there were."""
    for step in range(1, MOST_STEPS):
        if not await attempt(step):
            return step - 1
    raise AssertionError("it never came to an end")


@moments
async def test_connect(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, late: bool) -> None:
    async def a_turn() -> None:
        await asyncio.sleep(0)

    script.before_open = a_turn

    async def attempt(step: int) -> bool:
        reached, result = await cancelled_at(script.connect(alice_key, protocol=protocol)._open(), step, late)
        if isinstance(result, cp.Connection):
            assert result.is_open
            await result.send(CANCEL_ALL)
            await result.close()
        await settle()
        assert all(peer.closed is not None for peer in script.peers), "a link was left open"
        return reached

    assert await every_step(attempt) >= 2


@moments
@pytest.mark.parametrize("kind", ["websockets", "picows"])
async def test_connect_over_sockets(
    kind: TransportKind, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, protocol: cp.Protocol, late: bool
) -> None:
    async with Exchange(private_key=exchange_key, transport=kind) as exchange:
        exchange.register("alice", alice_key.public_key)

        async def attempt(step: int) -> bool:
            connecting = cp.connect(
                exchange.url,
                client_id="alice",
                private_key=alice_key,
                server_key=exchange.public_key,
                protocol=protocol,
                transport=kind,
            )
            reached, result = await cancelled_at(connecting._open(), step, late)
            if isinstance(result, cp.Connection):
                await result.request(BALANCE)
                await result.close()
            return reached

        assert await every_step(attempt) >= 2
        # Whatever was begun and given up, the next one works.
        async with cp.connect(
            exchange.url,
            client_id="alice",
            private_key=alice_key,
            server_key=exchange.public_key,
            protocol=protocol,
            transport=kind,
        ) as connection:
            await connection.request(BALANCE)


@asynccontextmanager
async def live(script: Script, key: cp.PrivateKey, protocol: cp.Protocol, **options: Any) -> Any:
    """A connection that works when the test's business with it is over, with every sequence accounted for."""
    async with script.connect(key, protocol=protocol, ping_interval=None, **options) as connection:
        peer = script.peer
        await peer.until(peer.live.done)
        yield connection, peer
        peer.client_link.hold_writes = False
        assert connection.is_open
        assert connection.in_flight == 0
        last = await connection.send(CANCEL_ALL)
        await peer.until(lambda: bool(peer.messages) and peer.messages[-1][0] == last)
        assert peer.sequences == list(range(1, last + 1))
        peer.auto_reply = True
        await connection.request(BALANCE)


@moments
async def test_send(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held by throttling, signed in a thread, and kept waiting by the network."""
    monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", 0)

    async def attempt(step: int) -> bool:
        async with live(script, alice_key, protocol) as (connection, peer):
            peer.client_link.hold_writes = True
            await throttled(connection, peer)
            cancelled = asyncio.create_task(cancelled_at(connection.send(CANCEL_ALL), step, late))
            await settle()
            jump(HOLD_S)
            while not peer.messages and not cancelled.done():  # noqa: ASYNC110 - there are two things to wait for
                await asyncio.sleep(0)
            await settle()
            release(peer)
            reached, result = await cancelled
            if isinstance(result, int):
                assert result == 1
            return reached

    assert await every_step(attempt) == (3 if protocol is cp.Protocol.SIGNED else 2)


async def throttled(connection: cp.Connection, peer: Peer) -> None:
    """Have sends held from now on."""
    peer.throttle(1000 * HOLD_S)
    await settle()
    assert connection.hold > 0


def release(peer: Peer) -> None:
    """The network takes more again."""
    peer.client_link.hold_writes = False


@moments
async def test_sends_beside_a_cancelled_one(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", 0)  # sign in threads

    async def attempt(step: int) -> bool:
        async with live(script, alice_key, protocol) as (connection, peer):
            await throttled(connection, peer)
            before = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(3)]
            await asyncio.sleep(0)
            cancelled = asyncio.create_task(cancelled_at(connection.send(CANCEL_ALL), step, late))
            await asyncio.sleep(0)
            after = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(3)]
            await settle()
            jump(HOLD_S)
            sequences = await asyncio.gather(*before, *after)
            assert sequences == sorted(set(sequences))
            reached, _ = await cancelled
            return reached

    assert await every_step(attempt) == (2 if protocol is cp.Protocol.SIGNED else 1)


@moments
async def test_request(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, late: bool) -> None:
    async def attempt(step: int) -> bool:
        async with live(script, alice_key, protocol) as (connection, peer):
            peer.auto_reply = True
            peer.client_link.hold_writes = True
            cancelled = asyncio.create_task(cancelled_at(connection.request(BALANCE), step, late))
            await settle()
            release(peer)
            reached, result = await cancelled
            assert connection.in_flight == 0
            if not isinstance(result, BaseException):
                assert isinstance(result, cp.UserBalanceResponse)
            return reached

    assert await every_step(attempt) == 2


@moments
async def test_taking_an_event(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, late: bool) -> None:
    async def attempt(step: int) -> bool:
        async with live(script, alice_key, protocol) as (connection, peer):
            asyncio.get_running_loop().call_soon(peer.events, 1, 3)
            reached, result = await cancelled_at(anext(connection), step, late)
            taken = [] if isinstance(result, BaseException) else [result.transaction_id]
            while taken[-1:] != [3]:
                taken.append((await anext(connection)).transaction_id)
            assert taken == [1, 2, 3], "an event was lost or came twice"
            return reached

    assert await every_step(attempt) >= 1


@moments
async def test_close(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, late: bool) -> None:
    async def attempt(step: int) -> bool:
        connection = await script.connect(alice_key, protocol=protocol)
        script.peer.events(1, 3)
        await settle()
        reached, _ = await cancelled_at(connection.close(), step, late)
        await connection.wait_closed()
        assert [event.transaction_id async for event in connection] == [1, 2, 3]
        assert script.peer.closed is not None
        return reached

    assert await every_step(attempt) >= 1


@moments
async def test_leaving_the_context(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, late: bool) -> None:
    async def session() -> None:
        async with script.connect(alice_key, protocol=protocol) as connection:
            script.peer.auto_reply = True
            await connection.send(CANCEL_ALL)
            await connection.request(BALANCE)

    async def attempt(step: int) -> bool:
        reached, _ = await cancelled_at(session(), step, late)
        await settle()
        assert script.peer.closed is not None
        return reached

    assert await every_step(attempt) >= 3


@moments
async def test_wait_closed(script: Script, alice_key: cp.PrivateKey, late: bool) -> None:
    async def attempt(step: int) -> bool:
        connection = await script.connect(alice_key, protocol=cp.Protocol.V5)
        if late or step > 1:
            asyncio.get_running_loop().call_soon(script.peer.lose)
        reached, _ = await cancelled_at(connection.wait_closed(), step, late)
        if not late and step == 1:
            assert connection.is_open, "who only waits does not end it"
        await connection.close()
        return reached

    assert await every_step(attempt) >= 1


async def test_a_link_that_dies_in_the_turn_of_a_cancellation(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    """Both ends of a call at once: nothing is reported as never retrieved."""
    for cancel_first in (True, False):
        async with script.connect(alice_key, protocol=protocol) as connection:
            calls = [
                asyncio.ensure_future(call)
                for call in (connection.request(BALANCE), connection.send(CANCEL_ALL), anext(connection))
            ]
            await asyncio.sleep(0)
            if cancel_first:
                for call in calls:
                    call.cancel()
            script.peer.lose()
            for _ in range(0 if cancel_first else 2):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
