"""Signing happens beside the event loop, in the order of the numbers, and whoever gives up leaves no gap."""

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

    The handshake's own signature comes first and is not held.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
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


PAYLOAD = b'{"@type":"CancelAllOrders"}'


async def test_a_message_that_was_signed_ahead_leaves_at_once(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        signer = connection._pump.signer
        assert signer is not None
        connection.sign_ahead(PAYLOAD)
        assert connection.next_sequence == 1, "nothing is assigned yet"
        slow_key.allow()
        assert signer._ahead is not None
        await asyncio.wrap_future(signer._ahead[1])
        assert await connection.send_encoded(PAYLOAD) == 1
        assert len(slow_key.threads) == 2, "the handshake and the message"
        await script.peer.until(lambda: script.peer.sequences == [1])


async def test_a_message_that_is_still_being_signed_keeps_its_place(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        script.peer.auto_reply = True
        connection.sign_ahead(PAYLOAD)
        calls: list[asyncio.Task[Any]] = [
            asyncio.create_task(connection.send_encoded(PAYLOAD)),
            asyncio.create_task(connection.request(BALANCE)),
            asyncio.create_task(connection.send_encoded(PAYLOAD)),
        ]
        await settle()
        slow_key.allow(3)
        await asyncio.gather(*calls)
        assert script.peer.sequences == [1, 2]
        assert len(slow_key.threads) == 4


async def test_another_message_than_the_one_that_was_signed_ahead(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        connection.sign_ahead(b"{}")
        slow_key.allow(2)
        assert await connection.send(CANCEL_ALL) == 1
        await script.peer.until(lambda: script.peer.sequences == [1])


async def test_a_message_does_not_pass_what_waits_to_be_signed(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        script.peer.auto_reply = True
        asking = asyncio.create_task(connection.request(BALANCE))
        await settle()
        connection.sign_ahead(PAYLOAD)
        sending = asyncio.create_task(connection.send_encoded(PAYLOAD))
        await settle()
        slow_key.allow(3)
        await asyncio.gather(asking, sending)
        assert (len(script.peer.requests), script.peer.sequences) == (1, [1])


@pytest.mark.parametrize("is_over", [True, False], ids=["before it is sent", "while it is awaited"])
async def test_a_key_that_cannot_sign_ahead_ends_the_connection(
    is_over: bool, script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    async with script.connect(alice_key) as connection:
        slow_key.fail = True
        connection.sign_ahead(PAYLOAD)
        signer = connection._pump.signer
        assert signer is not None
        if is_over:
            slow_key.allow(2)
            assert signer._ahead is not None
            await asyncio.gather(asyncio.wrap_future(signer._ahead[1]), return_exceptions=True)
        sending = asyncio.create_task(connection.send_encoded(PAYLOAD))
        await settle()
        slow_key.allow(2)
        with pytest.raises(cp.ConnectionClosed, match="could not be signed"):
            await sending


async def test_closing_while_a_message_is_to_be_signed_ahead(
    script: Script, alice_key: cp.PrivateKey, slow_key: SlowKey
) -> None:
    connection = await script.connect(alice_key)
    first = asyncio.create_task(connection.send(CANCEL_ALL))  # the thread stands in its signature
    await settle()
    signer = connection._pump.signer
    assert signer is not None
    signer._queued = 0  # as after a frame that was dispatched
    connection.sign_ahead(PAYLOAD)
    second = asyncio.create_task(connection.send_encoded(PAYLOAD))
    await settle()
    await connection.close()
    for error in await asyncio.gather(first, second, return_exceptions=True):
        assert isinstance(error, cp.ConnectionClosed)
    slow_key.allow(3)
    await settle()
    assert script.peer.messages == []


async def test_without_signatures_nothing_is_signed_ahead(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, protocol=cp.Protocol.V5) as connection:
        connection.sign_ahead(PAYLOAD)
        assert await connection.send_encoded(PAYLOAD) == 1
        await script.peer.until(lambda: script.peer.sequences == [1])
