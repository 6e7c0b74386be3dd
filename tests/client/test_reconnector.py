"""When the client tries again, how soon, and when it must not: the rules beyond the state machine's ordinary path."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.client.states import State
from cryptoproto.reconnect.reachability import announce
from tests.support.lines import client_of, patient, until_state
from tests.support.peer import Peer, Script, cancelled, placed
from tests.support.virtual_time import virtual

LONG = 20.0


def slow() -> cp.Backoff:
    """Every delay is nearly twenty seconds."""
    return cp.Backoff(LONG, LONG, random=lambda: 1 - 1e-12)


@virtual
async def test_an_event_at_or_below_the_position_closes_the_client(script: Script, alice_key: cp.PrivateKey) -> None:
    """An exchange that was restored from a backup gives transaction ids out again."""
    patient(script)
    async with client_of(script, alice_key) as client:
        events = client.events()
        script.peer.event(7)
        assert (await anext(events)).transaction_id == 7
        script.peer.event(5)
        with pytest.raises(cp.HistoryRewound) as caught:
            await anext(events)
        assert (caught.value.position, caught.value.exchange_position) == (7, 5)
        await until_state(client, State.CLOSED)
        assert "transaction 5" in client.state.reason
        assert "transaction 7" in client.state.reason
        with pytest.raises(cp.ClientClosed) as refused:
            await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, timeout=2)
        assert isinstance(refused.value.__cause__, cp.HistoryRewound)
        await asyncio.sleep(1000)
        assert len(script.peers) == 1


@virtual
async def test_a_handshake_that_has_forgotten_an_answered_message_closes_the_client(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    patient(script)
    async with client_of(script, alice_key) as client:
        placing = asyncio.create_task(client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, client_order_id=5))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.peer.event(8, placed(5))
        await placing
        script.last_sequence = 0
        script.peer.lose()
        await until_state(client, State.CLOSED)
        error = client.state.error
        assert isinstance(error, cp.HistoryRewound)
        assert (error.position, error.exchange_position, error.what) == (1, 0, "sequence")


def store_of_a_bot(script: Script, position: int, settled_through: int) -> cp.MemoryStore:
    """What an earlier process has left, whose bot had handled fewer events than had settled its orders."""
    store = cp.MemoryStore()
    store.open("alice", script.private_key.public_key.fingerprint)
    store.advance(position)
    store.remove(0, settled_through)
    store.close()
    return store


@virtual
@pytest.mark.parametrize(
    ("position", "replay"), [(8, ()), (2, (9,)), (2, (8,)), (0, (9,))], ids=["none", "newer", "last", "from the start"]
)
async def test_an_exchange_that_has_deleted_old_events_is_not_taken_for_a_restored_one(
    script: Script, alice_key: cp.PrivateKey, position: int, replay: tuple[int, ...]
) -> None:
    """The replay reaches the last event that settled an order, or the client had handled that one."""
    script.greeting += [partial(Peer.event, transaction_id=number) for number in replay]
    patient(script)
    async with client_of(script, alice_key, store=store_of_a_bot(script, position, 8)) as client:
        assert script.peer.hello is not None
        assert script.peer.hello.last_seen_order == position
        assert client.state.state is State.LIVE


@virtual
@pytest.mark.parametrize("replay", [(), (5,)], ids=["none", "older"])
async def test_a_replay_that_ends_before_what_has_settled_an_order_closes_the_client(
    script: Script, alice_key: cp.PrivateKey, replay: tuple[int, ...]
) -> None:
    """It was restored from a backup, or has deleted all that is newer than the position: both look the same."""
    script.greeting += [partial(Peer.event, transaction_id=number) for number in replay]
    patient(script)
    with pytest.raises(cp.HistoryRewound, match="an exchange that has deleted old events looks the same") as caught:
        await client_of(script, alice_key, store=store_of_a_bot(script, 2, 8)).__aenter__()
    assert (caught.value.position, caught.value.exchange_position) == (8, max(replay, default=2))
    assert "start again with a new store" in str(caught.value)


@virtual
async def test_a_replay_that_ends_before_what_the_history_has_closes_the_client(
    script: Script, alice_key: cp.PrivateKey, tmp_path: Path
) -> None:
    """The history may be ahead of the position. Later events with the same ids would not be recorded."""
    patient(script)
    greeting = list(script.greeting)
    script.greeting += [partial(Peer.event, transaction_id=number) for number in (5, 8)]
    store = cp.SqliteStore(tmp_path / "alice.db", history=True)
    async with client_of(script, alice_key, store=store):
        pass  # nobody handles the events
    assert store.recorded_through == 8
    script.greeting[:] = [*greeting, partial(Peer.event, transaction_id=5)]
    with pytest.raises(cp.HistoryRewound) as caught:
        await client_of(script, alice_key, store=store).__aenter__()
    assert (caught.value.position, caught.value.exchange_position) == (8, 5)


@virtual
async def test_being_taken_over_by_the_own_abandoned_handshake_is_tried_once_more(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    patient(script)
    script.answer_hello = lambda _: None
    client = client_of(script, alice_key, open_timeout=3.0, backoff=cp.Backoff(0.01, 0.01))
    async with client:
        assert client.state.state is State.WAITING, "the first handshake was given up"
        script.answer_hello = None
        await until_state(client, State.LIVE)
        script.peer.close(4000, "another connection has taken over")
        await until_state(client, State.WAITING)
        await until_state(client, State.LIVE)
        script.peer.close(4000, "another connection has taken over")
        await until_state(client, State.CLOSED)
        assert isinstance(client.state.error, cp.ConcurrentConnection)


@virtual
async def test_being_taken_over_long_after_an_abandoned_handshake_is_final(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    patient(script)
    script.answer_hello = lambda _: None
    async with client_of(script, alice_key, open_timeout=3.0, backoff=cp.Backoff(0.01, 0.01)) as client:
        script.answer_hello = None
        await until_state(client, State.LIVE)
        await asyncio.sleep(3.1)
        script.peer.close(4000, "another connection has taken over")
        await until_state(client, State.CLOSED)


@pytest.mark.parametrize("reason", ["", "the handshake took longer than 10 s"])
def test_a_refusal_that_does_not_name_the_key_is_tried_again(
    reason: str, script: Script, alice_key: cp.PrivateKey
) -> None:
    @virtual
    async def run() -> None:
        patient(script)
        script.answer_hello = lambda peer: peer.close(1008, reason)
        async with client_of(script, alice_key, backoff=cp.Backoff(0.01, 0.01)) as client:
            assert client.state.state is State.WAITING
            script.answer_hello = None
            await until_state(client, State.LIVE)

    run()


@virtual
async def test_a_refusal_of_keys_that_have_worked_before_is_logged_and_tried_again(
    script: Script, alice_key: cp.PrivateKey, caplog: pytest.LogCaptureFixture
) -> None:
    patient(script)
    async with client_of(script, alice_key, backoff=cp.Backoff(0.01, 0.01)) as client:

        def refuse_once(peer: Peer) -> None:
            script.answer_hello = None
            peer.close(1008, "invalid key: not registered")

        script.answer_hello = refuse_once
        script.peer.lose()
        await until_state(client, State.WAITING)
        await until_state(client, State.LIVE)
    assert "keys that have worked before" in caplog.text


@virtual
async def test_after_an_announced_restart_attempts_follow_each_other_quickly(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    patient(script)
    loop = asyncio.get_running_loop()
    async with client_of(script, alice_key, backoff=slow()) as client:
        before = loop.time()

        def restarting(peer: Peer) -> None:
            if loop.time() - before > 2:
                script.answer_hello = None
            peer.lose()

        script.answer_hello = restarting
        script.peer.close(1012, "restart")
        await until_state(client, State.WAITING)
        await until_state(client, State.LIVE)
        assert loop.time() - before < 3.5
        assert len(script.peers) > 5


@virtual
async def test_reconnect_now_ends_a_wait(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    loop = asyncio.get_running_loop()
    async with client_of(script, alice_key, backoff=slow()) as client:
        client.reconnect_now()  # without effect: there is a connection
        script.peer.lose()
        await until_state(client, State.WAITING)
        before = loop.time()
        client.reconnect_now()
        await until_state(client, State.LIVE)
        assert loop.time() - before < 1


@virtual
async def test_a_host_that_something_else_has_reached_is_tried_at_once(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    patient(script)
    loop = asyncio.get_running_loop()
    async with client_of(script, alice_key, backoff=slow()) as client:
        script.peer.lose()
        await until_state(client, State.WAITING)
        before = loop.time()
        announce("ws://another.example:1234")
        await asyncio.sleep(1)
        assert client.state.state is State.WAITING
        announce(client._options.url)
        await until_state(client, State.LIVE)
        assert loop.time() - before < 2


@virtual
async def test_a_pause_that_the_rate_limit_asks_for_is_kept(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    loop = asyncio.get_running_loop()
    async with client_of(script, alice_key, backoff=cp.Backoff(0.01, 0.01)) as client:
        script.peer.close(4009, "rate")
        await until_state(client, State.WAITING)
        before = loop.time()
        announce(client._options.url)
        await until_state(client, State.LIVE)
        assert loop.time() - before >= 4.9


@virtual
async def test_the_client_id_is_marked_as_in_use_between_connections_too(
    script: Script, alice_key: cp.PrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    patient(script)
    async with client_of(script, alice_key, backoff=slow()) as client:
        script.peer.lose()
        await until_state(client, State.WAITING)
        with pytest.raises(cp.IdentityInUse):
            await client_of(script, alice_key, exclusive=True).start()
        client.reconnect_now()
        await until_state(client, State.LIVE)
        script.peer.close(4000, "another connection has taken over")
        await until_state(client, State.CLOSED)
        assert os.listdir(tmp_path / "cryptoproto") == [], "a client that is closed for good holds nothing"
    async with client_of(script, alice_key, exclusive=True):
        pass


@virtual
async def test_a_cancel_that_another_cancel_has_settled_proves_nothing_about_its_sequence(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    """The exchange may never have received it: the order was cancelled by other means."""
    patient(script)
    async with client_of(script, alice_key, backoff=cp.Backoff(0.01, 0.01)) as client:
        placing = asyncio.create_task(client.place("BTC_USD", "buy", amount=1, price=1, client_order_id=5))
        await script.peer.until(lambda: bool(script.peer.messages))
        script.peer.event(8, placed(5))
        order = await placing
        cancelling = asyncio.create_task(client.cancel(order))
        await script.peer.until(lambda: len(script.peer.messages) == 2)
        script.peer.event(9, cancelled(5))
        assert await cancelling
        script.last_sequence = 1  # of the order, not of the cancel
        script.peer.lose()
        await until_state(client, State.WAITING)
        await until_state(client, State.LIVE)
