"""Frames are signed in threads or in the event loop, leave in the order of their numbers, and leave no gap."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.peer import Script, settle

BALANCE = cp.UserBalanceRequest()
CANCEL_ALL = cp.CancelAllOrders()


class SlowKey:
    """Takes the place of the signing of a key: each signature waits to be allowed.

    The handshake's own signature comes first and is not held. Frames are signed in threads, as with a long key.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", 0)
        self.allowed = threading.Semaphore(1)
        self.threads: list[str] = []
        self.fail = False
        sign = cp.PrivateKey.sign

        def slowly(key: cp.PrivateKey, data: bytes) -> bytes:
            assert self.allowed.acquire(timeout=20)
            self.threads.append(threading.current_thread().name)
            if self.fail:
                raise OSError("the hardware module is gone")
            return sign(key, data)

        monkeypatch.setattr(cp.PrivateKey, "sign", slowly)

    def allow(self, signatures: int = 1) -> None:
        self.allowed.release(signatures)


@pytest.fixture
def slow_key(monkeypatch: pytest.MonkeyPatch) -> Any:
    key = SlowKey(monkeypatch)
    yield key
    key.allow(1000)  # whatever still waits may end


async def test_the_loop_turns_while_a_frame_is_signed(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        send = asyncio.create_task(connection.send(CANCEL_ALL))
        script.peer.event(1)
        assert (await anext(connection)).transaction_id == 1, "while the thread stands in the middle of a signature"
        assert not send.done()
        assert script.peer.messages == []
        slow_key.allow()
        assert await send == 1
        await script.peer.until(lambda: script.peer.sequences == [1])
        assert [name.rsplit("_", 1)[0] for name in slow_key.threads] == ["MainThread", "cryptoproto-signer"]


async def test_messages_and_requests_leave_in_the_order_of_the_calls(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    order: list[str] = []
    async with script.connect(alice_key) as connection:
        script.peer.auto_reply = True

        async def call(number: int) -> None:
            if number % 3 == 2:
                await connection.request({"@type": "UserBalanceRequest", "number": number})
            else:
                await connection.send({"@type": "CancelOrder", "order_id": number})
            order.append(str(number))

        calls = [asyncio.create_task(call(number)) for number in range(30)]
        await settle()
        slow_key.allow(30)
        await asyncio.gather(*calls)
        assert script.peer.sequences == list(range(1, 21))
        assert [payload["order_id"] for _, payload in script.peer.messages] == [n for n in range(30) if n % 3 != 2]
        assert [payload["number"] for _, payload in script.peer.requests] == list(range(2, 30, 3))


async def test_a_frame_whose_sequence_is_assigned_is_sent_even_if_cancelled(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        sends = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(5)]
        await settle()
        for number in (0, 2, 4):
            sends[number].cancel()
        await settle()
        assert [send.cancelled() for send in sends] == [True, False, True, False, True]
        slow_key.allow(6)
        assert await connection.send(CANCEL_ALL) == 6
        assert await sends[1] == 2
        assert await sends[3] == 4
        await script.peer.until(lambda: script.peer.sequences == [1, 2, 3, 4, 5, 6])


async def test_what_was_not_signed_when_the_link_died_was_not_sent(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        slow_key.allow(2)
        first_request = asyncio.create_task(connection.request(BALANCE))
        assert await connection.send(CANCEL_ALL) == 1
        await script.peer.until(lambda: len(script.peer.requests) == 1)
        requests = [asyncio.create_task(connection.request(BALANCE)) for _ in range(2)]
        sends = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(2)]
        await settle()
        script.peer.close(1012)
        errors = await asyncio.gather(first_request, *requests, *sends, return_exceptions=True)
        assert all(type(error) is cp.ServerRestart for error in errors)
        assert [getattr(error, "sent", 0) for error in errors] == [True, False, False, False, False]
        assert len({id(error) for error in errors}) == 5


async def test_a_key_that_cannot_sign_ends_the_connection(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        slow_key.fail = True
        slow_key.allow(2)
        calls = (asyncio.create_task(connection.send(CANCEL_ALL)), asyncio.create_task(connection.request(BALANCE)))
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, cp.ConnectionClosed)
            assert "a frame could not be signed" in str(error)
            assert isinstance(error.__cause__, OSError)
            assert error.sent is False
        await connection.wait_closed()
        assert script.peer.messages == []


async def test_closing_in_the_middle_of_a_signature(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    connection = await script.connect(alice_key)
    calls = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(3)]
    await settle()
    await connection.close()
    for error in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(error, cp.ConnectionClosed)
        assert error.sent is False
    slow_key.allow(3)  # the thread ends with the signature it was at: the suite's own check waits for it
    await settle()
    assert script.peer.messages == []


def test_a_loop_that_is_closed_in_the_middle_of_a_signature(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    """Nobody is left to hear of the signature, and nothing is said of it."""

    async def leave() -> cp.Connection:
        connection = await script.connect(alice_key, lock=False)  # nothing would release it
        assert connection._pump.signer is not None
        connection._pump.signer.put(connection._pump.session.draft_message(b"{}"))
        return connection

    with asyncio.Runner() as runner:
        connection = runner.run(leave())  # which stays, so that it is not the garbage collector that ends the thread
    signers = [thread for thread in threading.enumerate() if thread.name.startswith("cryptoproto-signer")]
    assert signers
    slow_key.allow()
    for thread in signers:
        thread.join(20)
        assert not thread.is_alive()
    assert connection.is_open, "nobody told it otherwise"


async def test_the_end_passes_over_a_wait_that_was_cancelled_in_the_same_turn(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        sends = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(2)]
        await settle()
        sends[0].cancel()
        connection.give_up(cp.SlowConsumer(None, "by design"))
        results = await asyncio.gather(*sends, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError, cp.SlowConsumer]
        slow_key.allow()


# In the event loop, or in threads


class Signatures:
    """Notes which thread makes each signature. From the first one on, it can be told to fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[str] = []
        self.fails = False
        sign = cp.PrivateKey.sign

        def noted(key: cp.PrivateKey, data: bytes) -> bytes:
            if self.fails:
                raise OSError("the hardware module is gone")
            self.threads.append(threading.current_thread().name.rsplit("_", 1)[0])
            return sign(key, data)

        monkeypatch.setattr(cp.PrivateKey, "sign", noted)

    def take(self) -> list[str]:
        taken, self.threads = self.threads, []
        return taken


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> Signatures:
    return Signatures(monkeypatch)


HERE, ASIDE = "MainThread", "cryptoproto-signer"


async def test_a_frame_that_is_alone_is_signed_in_the_event_loop(
    script: Script, alice_key: cp.PrivateKey, signatures: Signatures
) -> None:
    async with script.connect(alice_key) as connection:
        script.peer.auto_reply = True
        signatures.take()
        assert await connection.send(CANCEL_ALL) == 1
        await settle()
        await connection.request(BALANCE)
        assert signatures.take() == [HERE, HERE]


async def test_a_caller_that_sends_in_a_loop_lets_others_run(
    script: Script, alice_key: cp.PrivateKey, signatures: Signatures
) -> None:
    turns: list[int] = []

    async def other() -> None:
        while True:
            turns.append(len(signatures.threads))
            await asyncio.sleep(0)

    async with script.connect(alice_key) as connection:
        signatures.take()
        task = asyncio.create_task(other())
        for number in range(1, 21):
            assert await connection.send(CANCEL_ALL) == number
        task.cancel()
        assert signatures.take() == [HERE] * 20
        assert set(turns) >= set(range(1, 20)), "at most one signature in each turn of the loop"


async def test_a_burst_is_signed_in_threads(script: Script, alice_key: cp.PrivateKey, signatures: Signatures) -> None:
    async with script.connect(alice_key) as connection:
        signatures.take()
        assert await asyncio.gather(*(connection.send(CANCEL_ALL) for _ in range(30))) == list(range(1, 31))
        assert signatures.take() == [HERE] + [ASIDE] * 29
        await script.peer.until(lambda: script.peer.sequences == list(range(1, 31)))


async def test_a_long_key_never_signs_in_the_event_loop(
    script: Script, alice_key: cp.PrivateKey, signatures: Signatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", alice_key.bits - 1)
    async with script.connect(alice_key) as connection:
        signatures.take()
        assert await connection.send(CANCEL_ALL) == 1
        assert signatures.take() == [ASIDE]


@pytest.mark.parametrize("turn_is_used", [False, True])
async def test_a_key_that_cannot_sign_in_the_event_loop_ends_the_connection(
    script: Script, alice_key: cp.PrivateKey, signatures: Signatures, turn_is_used: bool
) -> None:
    async with script.connect(alice_key) as connection:
        if turn_is_used:
            await connection.send(CANCEL_ALL)
        signatures.fails = True
        calls = (connection.send(CANCEL_ALL), connection.request(BALANCE))
        for error in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(error, cp.ConnectionClosed)
            assert "a frame could not be signed" in str(error)
            assert error.sent is False
        assert len(script.peer.messages) == turn_is_used


async def test_a_message_that_is_kept_signed_is_signed_in_the_event_loop_on_demand(
    script: Script, alice_key: cp.PrivateKey, signatures: Signatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with script.connect(alice_key) as connection:
        signatures.take()
        connection.keep_signed(b"{}")
        connection.sign_now(b"{}")
        assert connection.is_signed(b"{}")
        assert signatures.take() == [HERE]
        connection.release(b"{}")
        signatures.fails = True
        connection.keep_signed(b"{}")
        connection.sign_now(b"{}")
        with pytest.raises(cp.ConnectionClosed, match="a frame could not be signed"):
            await connection.wait_signed(b"{}")
        connection.sign_now(b"{}")  # it has ended


async def test_a_long_key_does_not_sign_in_the_event_loop_on_demand(
    script: Script, alice_key: cp.PrivateKey, signatures: Signatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", alice_key.bits - 1)
    async with script.connect(alice_key) as connection:
        signatures.take()
        connection.keep_signed(b"{}")
        connection.sign_now(b"{}")
        await connection.wait_signed(b"{}")
        assert signatures.take() == [ASIDE]


async def test_a_request_whose_signature_fails_in_the_event_loop(
    script: Script, alice_key: cp.PrivateKey, signatures: Signatures
) -> None:
    async with script.connect(alice_key) as connection:
        signatures.fails = True
        with pytest.raises(cp.ConnectionClosed, match="a frame could not be signed") as caught:
            await connection.request(BALANCE)
        assert caught.value.sent is False


async def test_as_many_threads_sign_at_the_same_time_as_asked_for(
    script: Script, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The later of two frames is signed first, and waits for the earlier one."""
    sign = cp.PrivateKey.sign
    both = threading.Barrier(3)
    first = threading.Event()
    later = asyncio.Event()
    loop = asyncio.get_running_loop()

    def together(key: cp.PrivateKey, data: bytes) -> bytes:
        if data[:8] in (b"\0" * 7 + b"\1", b"\0" * 7 + b"\2", b"\0" * 7 + b"\3") and b"CancelAll" in data:
            both.wait(20)
            if data[7] == 1:
                assert first.wait(20)
            elif data[7] == 3:
                loop.call_soon_threadsafe(later.set)
        return sign(key, data)

    monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", 0)
    monkeypatch.setattr(cp.PrivateKey, "sign", together)
    async with script.connect(alice_key, signer_threads=3) as connection:
        sends = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(3)]
        await later.wait()
        await settle()
        assert script.peer.messages == []
        assert not any(send.done() for send in sends)
        first.set()
        assert await asyncio.gather(*sends) == [1, 2, 3]
        await script.peer.until(lambda: script.peer.sequences == [1, 2, 3])


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
async def test_the_number_of_threads_is_checked(script: Script, alice_key: cp.PrivateKey, threads: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="signer_threads="):
        script.connect(alice_key, signer_threads=threads)
