"""Messages that are prepared leave at once, with whatever sequence is next then."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.peer import Script, settle
from tests.support.virtual_time import jump

BOTH = pytest.mark.parametrize("protocol", list(cp.Protocol))
CANCEL_ALL = cp.CancelAllOrders()


def cancel(number: int) -> cp.CancelOrder:
    return cp.CancelOrder(number)


def sent(script: Script) -> list[tuple[int, int | None]]:
    """Sequences and order ids."""
    return [(sequence, payload.get("order_id")) for sequence, payload in script.peer.messages]


class Count:
    """Counts signatures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.signatures = 0
        sign = cp.PrivateKey.sign

        def counted(key: cp.PrivateKey, data: bytes) -> bytes:
            self.signatures += 1
            return sign(key, data)

        monkeypatch.setattr(cp.PrivateKey, "sign", counted)


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Count:
    return Count(monkeypatch)


@BOTH
async def test_it_leaves_without_a_turn_of_the_event_loop(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, count: Count
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        prepared = await connection.prepare(cancel(7))
        assert prepared.is_ready
        assert connection.next_sequence == 1, "it has taken no sequence"
        signatures = count.signatures
        send = prepared.send()
        with pytest.raises(StopIteration) as returned:
            send.send(None)
        assert returned.value.value == 1
        assert count.signatures == signatures
        await script.peer.until(lambda: sent(script) == [(1, 7)])


@BOTH
async def test_it_is_signed_again_when_its_sequence_was_used(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        prepared = await connection.prepare(cancel(7))
        for number in range(1, 4):
            assert await connection.send(cancel(number)) == number
        await prepared.wait_ready()
        assert prepared.is_ready
        assert await prepared.send() == 4
        await script.peer.until(lambda: sent(script) == [(1, 1), (2, 2), (3, 3), (4, 7)])


async def test_it_is_sent_as_any_other_message_if_it_is_not_signed_yet(
    script: Script, alice_key: cp.PrivateKey
) -> None:
    async with script.connect(alice_key) as connection:
        prepared = await connection.prepare(cancel(7))
        assert await connection.send(cancel(1)) == 1
        assert not prepared.is_ready
        assert repr(prepared) == "<PreparedMessage of 36 bytes, not signed yet>"
        assert await prepared.send() == 2
        await script.peer.until(lambda: sent(script) == [(1, 1), (2, 7)])


async def test_several_leave_together(script: Script, alice_key: cp.PrivateKey, count: Count) -> None:
    async with script.connect(alice_key) as connection:
        bid, ask = await connection.prepare(cancel(1)), await connection.prepare(cancel(2))
        signer = connection._pump.signer
        assert signer is not None
        while signer._running:
            await settle()
        signatures = count.signatures
        assert [await bid.send(), await ask.send()] == [1, 2]
        assert count.signatures == signatures
        await script.peer.until(lambda: sent(script) == [(1, 1), (2, 2)])


async def test_it_does_not_overtake_what_waits_for_a_signature(
    script: Script, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", 0)
    async with script.connect(alice_key) as connection:
        first, second = await connection.prepare(cancel(8)), await connection.prepare(cancel(9))
        await second.wait_ready()
        signer = connection._pump.signer
        assert signer is not None
        while signer._running:
            await settle()
        sends = [asyncio.create_task(call) for call in (connection.send(cancel(1)), second.send(), first.send())]
        assert await asyncio.gather(*sends) == [1, 2, 3]
        await script.peer.until(lambda: sent(script) == [(1, 1), (2, 9), (3, 8)])


@BOTH
async def test_a_message_is_sent_once(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        prepared = await connection.prepare(CANCEL_ALL)
        await prepared.send()
        assert not prepared.is_ready
        for call in (prepared.send, prepared.wait_ready):
            with pytest.raises(cp.OrderInvalid, match=r"sent already; prepare\(\) another one"):
                await call()
        prepared.discard()
        assert repr(prepared) == "<PreparedMessage of 27 bytes, sent>"
        await script.peer.until(lambda: script.peer.sequences == [1])


@BOTH
async def test_a_discarded_one_leaves_no_trace(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, count: Count
) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        prepared = await connection.prepare(CANCEL_ALL)
        prepared.discard()
        prepared.discard()
        assert not prepared.is_ready
        with pytest.raises(cp.OrderInvalid, match="discarded already"):
            await prepared.send()
        signatures = count.signatures
        assert await connection.send(cancel(1)) == 1
        await settle()
        assert count.signatures - signatures <= 1, "it is not signed again"
        await script.peer.until(lambda: sent(script) == [(1, 1)])


async def test_equal_messages_are_two(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key) as connection:
        one, other = await connection.prepare(CANCEL_ALL), await connection.prepare(CANCEL_ALL)
        one.discard()
        assert other.is_ready
        assert await other.send() == 1


async def test_a_message_that_is_sent_otherwise_uses_the_signature(
    script: Script, alice_key: cp.PrivateKey, count: Count
) -> None:
    async with script.connect(alice_key) as connection:
        await connection.prepare(cancel(7))
        signatures = count.signatures
        assert await connection.send(cancel(7)) == 1
        assert count.signatures == signatures


# Throttling


@BOTH
async def test_throttling_holds_it(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        prepared, urgent = await connection.prepare(cancel(7)), await connection.prepare(cancel(8))
        third = await connection.prepare(cancel(9))
        script.peer.throttle(5000)
        await settle()
        held = asyncio.create_task(third.send())
        await settle()
        held.cancel()
        sends = asyncio.gather(prepared.send(), urgent.send(urgent=True))
        await settle()
        assert script.peer.messages == []
        jump(5)
        assert list(await sends) == [2, 1]
        assert held.cancelled()
        assert await third.send() == 3, "it stays prepared where its send was cancelled before it was sent"
        await script.peer.until(lambda: sent(script) == [(1, 8), (2, 7), (3, 9)])


async def test_two_sends_of_one_message_while_throttling_holds_it(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key) as connection:
        prepared = await connection.prepare(cancel(7))
        script.peer.throttle(5000)
        await settle()
        sends = asyncio.gather(prepared.send(), prepared.send(), return_exceptions=True)
        await settle()
        jump(5)
        first, second = await sends
        assert first == 1
        assert isinstance(second, cp.OrderInvalid)
        await script.peer.until(lambda: sent(script) == [(1, 7)])


# The end of the connection


@BOTH
async def test_it_ends_with_its_connection(script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol) -> None:
    async with script.connect(alice_key, protocol=protocol) as connection:
        prepared = await connection.prepare(CANCEL_ALL)
        script.peer.close(1012)
        await connection.wait_closed()
        assert not prepared.is_ready
        for call in (prepared.send, prepared.wait_ready, lambda: connection.prepare(CANCEL_ALL)):
            with pytest.raises(cp.ServerRestart) as caught:
                await call()
            assert caught.value.sent is False
        prepared.discard()


class Stuck:
    """No signature ends before it is allowed to, except that of the handshake."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.allowed = threading.Event()
        sign, is_first = cp.PrivateKey.sign, [True]

        def stuck(key: cp.PrivateKey, data: bytes) -> bytes:
            if not is_first:
                assert self.allowed.wait(20)
            is_first.clear()
            return sign(key, data)

        monkeypatch.setattr(cp.PrivateKey, "sign", stuck)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Stuck(monkeypatch)
    yield made
    made.allowed.set()


async def test_preparing_ends_with_the_connection(script: Script, alice_key: cp.PrivateKey, stuck: Stuck) -> None:
    async with script.connect(alice_key) as connection:
        calls = [asyncio.create_task(connection.prepare(cancel(number))) for number in (1, 2)]
        await settle()
        script.peer.close(1012)
        errors = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(error) for error in errors] == [cp.ServerRestart] * 2


async def test_a_key_that_cannot_sign_ends_the_connection(
    script: Script, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with script.connect(alice_key) as connection:
        monkeypatch.setattr(cp.PrivateKey, "sign", None)
        with pytest.raises(cp.ConnectionClosed, match="could not be signed") as caught:
            await connection.prepare(CANCEL_ALL)
        assert isinstance(caught.value.__cause__, TypeError)


async def test_cancelling_leaves_nothing_prepared(script: Script, alice_key: cp.PrivateKey, stuck: Stuck) -> None:
    async with script.connect(alice_key) as connection:
        call = asyncio.create_task(connection.prepare(cancel(1)))
        other = asyncio.create_task(connection.prepare(cancel(2)))
        await settle()
        call.cancel()
        await settle()
        assert call.cancelled()
        signer = connection._pump.signer
        assert signer is not None
        assert len(signer._ahead) == 1
        stuck.allowed.set()
        prepared = await other
        assert prepared.is_ready
        assert await prepared.send() == 1


async def test_a_message_that_can_never_be_sent_is_refused(script: Script, alice_key: cp.PrivateKey) -> None:
    async with script.connect(alice_key, max_message_size=4096) as connection:
        with pytest.raises(cp.ConfigurationError, match="max_message_size"):
            await connection.prepare({"@type": "CancelAllOrders", "padding": "x" * 4096})
        with pytest.raises(cp.OrderInvalid):
            await connection.prepare(cp.CancelOrder(2**63))


async def test_threads_turn_to_what_is_being_sent(
    script: Script, alice_key: cp.PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread has several messages to sign ahead, and a frame comes: it is next."""
    monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", 0)
    signed: list[bytes] = []
    reached, allowed = threading.Event(), threading.Event()
    sign = cp.PrivateKey.sign

    def held(key: cp.PrivateKey, data: bytes) -> bytes:
        if b"CancelOrder" in data:
            signed.append(data[:8])
            reached.set()
            assert allowed.wait(20)
        return sign(key, data)

    monkeypatch.setattr(cp.PrivateKey, "sign", held)
    async with script.connect(alice_key, signer_threads=1) as connection:
        for number in range(5):
            connection.keep_signed(b'{"@type":"CancelOrder","order_id":%d}' % number, spare=True)
        await settle()
        assert await asyncio.to_thread(reached.wait, 20)
        sends = [asyncio.create_task(connection.send(CANCEL_ALL)) for _ in range(3)]
        await settle()
        allowed.set()
        assert await asyncio.gather(*sends) == [1, 2, 3]
        await connection.wait_signed(b'{"@type":"CancelOrder","order_id":0}')
        assert [int.from_bytes(each) for each in signed] == [1] + [4] * 5


@BOTH
@pytest.mark.parametrize("seed", range(8))
async def test_any_mixture_leaves_without_a_gap(
    script: Script, alice_key: cp.PrivateKey, protocol: cp.Protocol, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several callers send, ask, prepare, discard and are cancelled; the peer checks each sequence and signature."""
    choice = random.Random(seed)
    if seed % 2:
        monkeypatch.setattr("cryptoproto.connection.signer._LONGEST_KEY_BITS", 0)
    numbers = itertools.count(1)
    wanted: dict[int, int] = {}
    maybe: set[int] = set()

    async def send(number: int, call: Any) -> None:
        task = asyncio.create_task(call)
        if choice.random() < 0.1:
            maybe.add(number)
            for _ in range(choice.randint(0, 3)):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        else:
            wanted[number] = await task

    async def caller() -> None:
        for _ in range(12):
            number = next(numbers)
            dice = choice.random()
            if dice < 0.3:
                await send(number, connection.send(cancel(number)))
            elif dice < 0.45:
                await connection.request(cp.UserBalanceRequest())
            else:
                prepared = await connection.prepare(cancel(number))
                if choice.random() < 0.5:
                    await prepared.wait_ready()
                if choice.random() < 0.2:
                    prepared.discard()
                else:
                    await send(number, prepared.send())

    async with script.connect(alice_key, protocol=protocol, signer_threads=choice.randint(1, 3)) as connection:
        script.peer.auto_reply = True
        for number in range(choice.randint(0, 4)):
            connection.keep_signed(b'{"@type":"CancelOrder","order_id":%d}' % number, spare=True)
        await asyncio.gather(*(caller() for _ in range(5)))
        last = await connection.send(CANCEL_ALL)
        await script.peer.until(lambda: script.peer.sequences[-1:] == [last])
    assert script.peer.sequences == list(range(1, last + 1))
    received = {payload["order_id"]: sequence for sequence, payload in script.peer.messages if "order_id" in payload}
    assert len(received) == last - 1, "each once"
    assert wanted.items() <= received.items()
    assert received.keys() - wanted.keys() <= maybe
