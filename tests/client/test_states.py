"""The states of a client: each transition, what each end of a link asks for, and the end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.states import State
from tests.support.lines import client_of, next_state, patient, until, until_state
from tests.support.peer import Peer, Script, placed, settle
from tests.support.virtual_time import virtual

CONNECTING, RESUMING, LIVE, WAITING, CLOSED = State.CONNECTING, State.RESUMING, State.LIVE, State.WAITING, State.CLOSED


def always_longest() -> cp.Backoff:
    return cp.Backoff(initial=0.5, cap=30.0, factor=2.0, random=lambda: 1 - 1e-12)


def garbage(peer: Peer) -> None:
    peer.link.send(b"x" * 64)


def silence(peer: Peer) -> None:
    peer.link.pause_reading()


Ending = tuple[Callable[[Peer], None], type[cp.CryptoprotoError], float]
ENDINGS: dict[str, Ending] = {
    "1000": (lambda peer: peer.close(1000, "bye"), cp.ConnectionClosed, 0.5),
    "1001": (lambda peer: peer.close(1001, "away"), cp.ConnectionClosed, 0.5),
    "1011": (lambda peer: peer.close(1011, "bug"), cp.ConnectionClosed, 0.5),
    "1012": (lambda peer: peer.close(1012, "restart"), cp.ServerRestart, 0.1),
    "4001": (lambda peer: peer.close(4001, "sequence"), cp.InvalidSequence, 0.5),
    "4009": (lambda peer: peer.close(4009, "rate"), cp.RateLimited, 5.0),
    "lost": (Peer.lose, cp.ConnectionClosed, 0.5),
    "garbage": (garbage, cp.DecodeError, 0.5),
    "silence": (silence, cp.HeartbeatTimeout, 0.5),
    "error frame": (lambda peer: peer.error(2, "what?"), cp.InvalidPayload, 0.5),
    "unknown error": (lambda peer: peer.error(77, "?"), cp.UnknownServerError, 0.5),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_end_of_a_link_leads_to_the_next(ending: str, script: Script, alice_key: cp.PrivateKey) -> None:
    end, kind, delay = ENDINGS[ending]

    @virtual
    async def run() -> None:
        patient(script)
        loop = asyncio.get_running_loop()
        client = client_of(script, alice_key, backoff=always_longest())
        states = client.states()
        async with client:
            assert client.state.state is LIVE
            script.peer.event(7)
            await until(lambda: client._events.queued == 1)
            first = script.peer
            before = loop.time()
            script.last_sequence = 12
            end(first)
            seen = [await next_state(states) for _ in range(7)]
            assert [each.state for each in seen] == [
                CONNECTING, CONNECTING, RESUMING, LIVE, WAITING, CONNECTING, RESUMING,
            ]  # fmt: skip
            waiting, connecting = seen[4], seen[5]
            assert type(waiting.error) is kind
            assert waiting.reason == str(waiting.error)
            assert waiting.delay_s == pytest.approx(delay)
            assert waiting.attempt == connecting.attempt == 1
            live = await next_state(states)
            assert (live.state, live.replayed, live.error) == (LIVE, 0, None)
            assert loop.time() - before == pytest.approx(delay + (12.0 if ending == "silence" else 0.0), abs=4.0)
            assert script.peer is not first
            assert script.peer.hello is not None
            assert script.peer.hello.last_seen_order == 7
            # 4001 most of all: the sequence goes on from what the exchange says.
            placing = asyncio.create_task(client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, client_order_id=5))
            await script.peer.until(lambda: bool(script.peer.messages))
            assert script.peer.sequences == [13]
            script.peer.event(8, placed(5))
            await placing
        assert (await next_state(states)).state is CLOSED
        with pytest.raises(StopAsyncIteration):
            await anext(states)

    run()


@virtual
async def test_someone_else_has_taken_over(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    client = client_of(script, alice_key)
    async with client:
        reader = asyncio.create_task(anext(client.events()))
        placing = asyncio.create_task(client.place("BTC_USD", cp.Side.BUY, amount=1, price=1))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.peer.close(4000, "taken over")
        change = await until_closed(client)
        assert isinstance(change.error, cp.ConcurrentConnection)
        with pytest.raises(cp.ConcurrentConnection):  # an iteration that waited for ever would hide it
            await reader
        with pytest.raises(cp.OutcomeUnknown):
            await placing
        with pytest.raises(cp.RequestNotSent, match="taken over") as caught:
            await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)
        assert isinstance(caught.value.__cause__, cp.ConcurrentConnection)
        with pytest.raises(cp.RequestNotSent):
            await client.balances()
        await asyncio.sleep(1000)
        assert len(script.peers) == 1


async def until_closed(client: cp.Client) -> cp.StateChange:
    async with asyncio.timeout(600):
        async for change in client.states():
            if change.state is CLOSED:
                return change
    return client.state


@pytest.mark.parametrize("code", [4000, 1008, 1002])
def test_async_with_raises_if_a_retry_cannot_succeed(code: int, script: Script, alice_key: cp.PrivateKey) -> None:
    @virtual
    async def run() -> None:
        script.answer_hello = lambda peer: peer.close(code, "invalid key: not registered")
        client = client_of(script, alice_key)
        with pytest.raises((cp.InvalidKey, cp.ConcurrentConnection, cp.UnsupportedVersion)):
            async with client:
                raise AssertionError("it must not get here")
        assert client.state.state is CLOSED
        await asyncio.sleep(1000)
        assert len(script.peers) == 1

    run()


@virtual
async def test_a_wrong_key_stops(script: Script, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.InvalidKey):
        await client_of(script, bob_key).start()


@virtual
async def test_a_store_that_cannot_be_used_stops(script: Script, alice_key: cp.PrivateKey) -> None:
    store = cp.MemoryStore()
    store.open("somebody else", "aa")
    with pytest.raises(cp.ConfigurationError):
        await client_of(script, alice_key, store=store).start()
    assert not script.peers


@virtual
async def test_nobody_answers_for_hours(script: Script, alice_key: cp.PrivateKey) -> None:
    """`async with` returns, and the pauses grow to their cap and no further."""
    patient(script)
    attempts: list[float] = []
    loop = asyncio.get_running_loop()

    async def refuse() -> None:
        attempts.append(loop.time())
        if loop.time() < 4000:
            raise ConnectionRefusedError(111, "nobody answers")

    script.before_open = refuse
    async with client_of(script, alice_key, backoff=always_longest()) as client:
        assert client.state.state is WAITING
        assert "Connection refused" in client.state.reason
        with pytest.raises(cp.RequestNotSent):
            await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, timeout=60)
        assert loop.time() == pytest.approx(60, abs=1)
        live = await until_state(client, LIVE)
        assert live.state is LIVE
        pauses = [after - before for before, after in itertools.pairwise(attempts)]
        assert pauses[:7] == pytest.approx([0.5, 1, 2, 4, 8, 16, 30])
        assert pauses[7:] == pytest.approx([30.0] * (len(pauses) - 7))
        assert loop.time() == pytest.approx(4015, abs=16)
        script.peer.lose()  # and begin anew after a success
        change = await until_state(client, WAITING)
        assert change.attempt == 1
        assert change.delay_s == pytest.approx(0.5)


@virtual
async def test_the_handshake_hangs_or_breaks_off(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    answers: list[Callable[[Peer], None]] = [
        silence, Peer.lose, lambda peer: peer.close(1011), lambda peer: peer.close(1012), Peer.accept,
    ]  # fmt: skip
    script.answer_hello = lambda peer: answers.pop(0)(peer)  # noqa: PLW0108 - one of them each time
    client = client_of(script, alice_key)
    states = client.states()
    async with client:
        await until_state(client, LIVE)
    errors = [change.error async for change in states if change.state is WAITING]
    assert [type(error) for error in errors] == [
        cp.OpenTimeout, cp.HandshakeError, cp.HandshakeError, cp.ServerRestart,
    ]  # fmt: skip


@virtual
async def test_an_exchange_that_never_answers_the_first_request(script: Script, alice_key: cp.PrivateKey) -> None:
    """It is connected, and yet nothing is known; pongs alone do not make it so."""
    async with client_of(script, alice_key, request_timeout=3.0) as client:
        assert client.state.state is WAITING
        assert isinstance(client.state.error, cp.RequestTimeout)
        patient(script)
        assert (await until_state(client, LIVE)).attempt == 0


@virtual
async def test_a_long_replay_is_waited_for(script: Script, alice_key: cp.PrivateKey) -> None:
    """The response comes behind it, however long that takes."""

    async def replay(peer: Peer) -> None:
        for number in range(1, 21):
            await asyncio.sleep(1)
            peer.event(number)
        peer.auto_reply = True
        for number, _ in list(peer.requests):
            peer.reply(number)

    tasks: list[asyncio.Task[None]] = []
    script.greeting.append(lambda peer: tasks.append(asyncio.create_task(replay(peer))))
    async with client_of(script, alice_key, request_timeout=3.0) as client:
        assert client.state.state is LIVE
        assert client.state.replayed == 20
        assert len(script.peers) == 1
        await tasks[0]


@virtual
async def test_a_quiet_link_is_kept(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        await asyncio.sleep(3600)
        assert client.state.state is LIVE
        assert len(script.peers) == 1


@virtual
async def test_the_link_is_lost_while_resuming(script: Script, alice_key: cp.PrivateKey) -> None:
    script.greeting.append(lambda peer: peer.event(3))
    client = client_of(script, alice_key)
    states = client.states()
    start = asyncio.create_task(client.start())
    while (await next_state(states)).state is not RESUMING:
        pass
    await settle()
    script.peer.lose()
    await start
    change = client.state
    assert (change.state, change.attempt) == (WAITING, 1)
    patient(script)
    await until_state(client, LIVE)
    assert script.peer.hello is not None
    assert script.peer.hello.last_seen_order == 3
    await client.close()


# Calls while there is no connection


@virtual
async def test_calls_wait_for_the_connection_or_fail_at_once(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    loop = asyncio.get_running_loop()
    async with client_of(script, alice_key, backoff=cp.Backoff(20, random=lambda: 1 - 1e-12)) as client:
        script.peer.lose()
        await until_state(client, WAITING)
        before = loop.time()
        calls: list[Callable[[], Any]] = [
            lambda: client.balances(wait=False),
            lambda: client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, wait=False),
            lambda: client.cancel(5, wait=False),
            lambda: client.cancel_all(wait=False),
        ]
        for call in calls:
            with pytest.raises(cp.RequestNotSent, match="not connected") as caught:
                await call()
            assert caught.value.sent is False
            assert isinstance(caught.value.__cause__, cp.ConnectionClosed)
        assert loop.time() == before
        with pytest.raises(cp.RequestNotSent):
            await client.balances(timeout=5)
        assert loop.time() - before == pytest.approx(5)
        assert await client.balances(timeout=20) == {}
        assert loop.time() - before == pytest.approx(20)
        assert list(client.orders) == [], "what never left is not in the table"


@virtual
async def test_calls_while_a_dead_link_is_being_closed(script: Script, alice_key: cp.PrivateKey) -> None:
    """The connection has ended, its link is not gone yet, and the state is not changed: no time to turn in circles."""
    patient(script)
    async with client_of(script, alice_key) as client:
        connection = client._link.connection
        assert connection is not None
        connection.give_up(cp.HeartbeatTimeout(None, "silence"))
        assert client.state.state is LIVE
        with pytest.raises(cp.RequestNotSent, match="silence"):
            await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, wait=False)
        waiting = asyncio.create_task(client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, client_order_id=9))
        await until_state(client, WAITING)
        await until_state(client, LIVE)
        await script.peer.until(lambda: bool(script.peer.messages))
        script.peer.event(1, placed(9))
        assert (await waiting).is_open


# Closing


@pytest.mark.parametrize("where", ["opening", "shaking hands", "resuming", "live", "waiting", "closing a link"])
def test_close_ends_everything_in_every_state(where: str, script: Script, alice_key: cp.PrivateKey) -> None:
    @virtual
    async def run() -> None:
        loop = asyncio.get_running_loop()
        if where == "opening":
            script.before_open = asyncio.Event().wait  # for ever
        elif where == "shaking hands":
            script.answer_hello = lambda peer: None
        elif where != "resuming":
            patient(script)
        client = client_of(script, alice_key)
        states = client.states()
        starting = asyncio.create_task(client.start())
        await settle()
        if where == "live":
            script.peer.auto_reply = False
        if where == "waiting":
            script.peer.lose()
            await until_state(client, WAITING)
        elif where == "closing a link":
            script.peer.link.pause_reading()
            assert client._link.connection is not None
            client._link.connection.give_up(cp.ConnectionClosed(None, "enough"))
        calls = [
            asyncio.create_task(client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)),
            asyncio.create_task(client.cancel_all()),
            asyncio.create_task(client.balances()),
        ]
        reader = asyncio.create_task(anext(client.events()))
        await settle()
        before = loop.time()
        await client.close(2.0)
        await client.close()
        assert loop.time() - before <= 2.0
        assert client.state.state is CLOSED
        results = await asyncio.gather(*calls, reader, return_exceptions=True)
        for result in results[:3]:
            assert isinstance(result, cp.RequestNotSent | cp.OutcomeUnknown | cp.ConnectionClosed), results
        assert isinstance(results[3], StopAsyncIteration)
        await starting
        seen = [change.state async for change in states]
        assert seen[-1] is CLOSED
        if where == "live":
            assert seen == [CONNECTING, CONNECTING, RESUMING, LIVE, CLOSED]
        await asyncio.sleep(1000)
        assert len(script.peers) <= 1

    run()


@virtual
async def test_a_start_that_is_cancelled_leaves_nothing(script: Script, alice_key: cp.PrivateKey) -> None:
    script.answer_hello = lambda peer: None
    client = client_of(script, alice_key)
    starting = asyncio.create_task(client.start())
    await settle()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert client.state.state is CLOSED


@virtual
async def test_two_who_close_at_once(script: Script, alice_key: cp.PrivateKey) -> None:
    """The second does not close the store under the first."""
    patient(script)
    store = cp.MemoryStore()
    client = client_of(script, alice_key, store=store)
    await client.start()
    script.peer.link.pause_reading()
    first, second = asyncio.create_task(client.close()), asyncio.create_task(client.close())
    await asyncio.gather(first, second)
    assert client.state.state is CLOSED
    store.open("alice", script.private_key.public_key.fingerprint)


@virtual
async def test_what_an_opener_raises_is_not_swallowed(script: Script, alice_key: cp.PrivateKey) -> None:
    def fail() -> None:
        raise KeyError("bug")

    script.before_open = fail
    client = client_of(script, alice_key)
    with pytest.raises(cp.ConnectionClosed, match="KeyError") as caught:
        await client.start()
    assert isinstance(caught.value.__cause__, KeyError)
    assert client.state.state is CLOSED
