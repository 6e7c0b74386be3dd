"""``StompConnection`` against a scripted gateway, with a clock that the test moves."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from tests.support.apikeys.clocks import Clock, Sleeper
from tests.support.apikeys.stomp_wire import Wire, connected, connecting, leave
from tests.support.peer import settle


async def test_send_and_receipts(wire: Wire) -> None:
    stomp = await connected(wire)
    await stomp.send("/app/x", "text")
    frame = await wire.heard("SEND")
    assert (frame.body, frame.headers["content-type"]) == (b"text", "text/plain;charset=utf-8")
    confirmed = asyncio.create_task(stomp.send("/app/x", b"\xff", content_type="application/x", receipt=True))
    frame = await wire.heard("SEND")
    assert (frame.body, frame.headers["content-length"]) == (b"\xff", "1")
    assert not confirmed.done()
    wire.says("RECEIPT", {"receipt-id": "of another"})
    wire.says("RECEIPT", {"receipt-id": frame.headers["receipt"]})
    await confirmed
    await leave(wire, stomp)


async def test_an_error_frame_ends_everything(wire: Wire) -> None:
    stomp = await connected(wire)
    subscription = await stomp.subscribe("/q")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    waiting = asyncio.create_task(stomp.send("/x", receipt=True))
    await wire.heard("SEND")
    wire.says("MESSAGE", {"subscription": name}, b"before")
    wire.says("ERROR", {"message": "malformed"}, b"details")
    with pytest.raises(cp.StompError, match=r"ended the STOMP connection: malformed \(details\)"):
        await waiting
    assert (await anext(subscription)).body == b"before"
    with pytest.raises(cp.StompError):
        await anext(subscription)
    with pytest.raises(cp.StompError) as caught:
        await stomp.send("/x")
    assert caught.value.sent is False
    await subscription.unsubscribe()
    await stomp.close()
    assert "closed" in repr(stomp)


async def test_a_lost_connection_ends_everything(wire: Wire) -> None:
    stomp = await connected(wire)
    subscription = await stomp.subscribe("/q")
    waiting = asyncio.create_task(stomp.send("/x", receipt=True))
    await wire.heard("SUBSCRIBE")
    await wire.heard("SEND")
    wire.hangs_up(None)
    with pytest.raises(cp.ConnectionClosed) as caught:
        await waiting
    assert caught.value.sent is True
    with pytest.raises(cp.ConnectionClosed, match="without a close code"):
        async with subscription:
            await anext(subscription)
    await stomp.close()


async def test_closing_ends_iteration_quietly(wire: Wire) -> None:
    stomp = await connected(wire)
    subscription = await stomp.subscribe("/q")
    await wire.heard("SUBSCRIBE")
    consumer = asyncio.create_task(anext(subscription, "the end"))
    closing = asyncio.create_task(stomp.close())
    await wire.heard("DISCONNECT")
    wire.hangs_up(1000)
    await closing
    assert await consumer == "the end"
    with pytest.raises(cp.ConnectionClosed, match="with code 1000"):
        await stomp.send("/x")


@pytest.mark.parametrize("command", ["CONNECTED", "SEND"])
async def test_frames_that_a_gateway_does_not_send(wire: Wire, command: str) -> None:
    stomp = await connected(wire)
    subscription = await stomp.subscribe("/q")
    wire.says(command, {"version": "1.2"})
    with pytest.raises(cp.DecodeError, match=f"does not send {command}"):
        await anext(subscription)
    await stomp.close()


async def test_heart_beats_are_sent_when_nothing_else_is(wire: Wire, clock: Clock, sleeper: Sleeper) -> None:
    stomp = await connected(wire, {"heart-beat": "0,2000"}, heart_beat_ms=(1000, 0), clock=clock, sleep=sleeper)
    for _ in range(3):
        assert await sleeper.pass_one() == 2.0
        await wire.heard(None)
    _, waiting = await sleeper.asleep.get()
    clock.now += 1.5
    await stomp.send("/x")
    await wire.heard("SEND")
    clock.now += 0.5
    waiting.set_result(None)
    seconds, _ = await sleeper.asleep.get()
    assert seconds == 1.5  # counted from the last frame
    await leave(wire, stomp)


async def test_a_silent_gateway_is_given_up(wire: Wire, clock: Clock, sleeper: Sleeper) -> None:
    stomp = await connected(wire, {"heart-beat": "3000,0"}, heart_beat_ms=(0, 1000), clock=clock, sleep=sleeper)
    subscription = await stomp.subscribe("/q")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    _, waiting = await sleeper.asleep.get()
    clock.now += 5.0
    wire.link.ping()  # is no beat of STOMP
    await settle()
    wire.beats()
    wire.says("MESSAGE", {"subscription": name})
    await anext(subscription)
    clock.now += 1.0
    waiting.set_result(None)
    wire.link.ping()
    assert await sleeper.pass_one() == 5.0  # twice 3 s after the last sign of life
    with pytest.raises(cp.HeartbeatTimeout, match="the gateway sent nothing for 6 s"):
        await anext(subscription)
    await stomp.close()


def test_arguments_that_cannot_be_used(wire: Wire) -> None:
    for options in ({"versions": ()}, {"versions": ("1.0",)}, {"max_queue": 0}, {"heart_beat_ms": (-1, 0)}):
        with pytest.raises(cp.ConfigurationError):
            connecting(wire, **options)


async def test_what_is_utf8_goes_as_text(wire: Wire) -> None:
    stomp = await connected(wire)
    await stomp.send("/x", "Grüße")
    await stomp.send("/x", b"\xff")
    for _ in range(2):
        await wire.heard("SEND")
    assert wire.kinds == ["text", "text", "binary"]
    await leave(wire, stomp)


async def test_sending_waits_while_the_network_is_slow(wire: Wire) -> None:
    stomp = await connected(wire)
    wire.client_link.hold_writes = True
    sending = asyncio.create_task(stomp.send("/x", "1"))
    await wire.heard("SEND")
    await settle()
    assert not sending.done()
    wire.client_link.hold_writes = False
    await sending
    await leave(wire, stomp)


@pytest.mark.parametrize("receipt", [False, True])
async def test_a_link_that_is_lost_while_the_network_is_slow(wire: Wire, receipt: bool) -> None:
    stomp = await connected(wire)
    wire.client_link.hold_writes = True
    sending = asyncio.create_task(stomp.send("/x", "1", receipt=receipt))
    await wire.heard("SEND")
    wire.hangs_up(1001)
    with pytest.raises(cp.ConnectionClosed, match="with code 1001: gone") as caught:
        await sending
    assert caught.value.sent is True
    await stomp.close()


async def test_what_waits_for_a_slow_network_ends_for_the_reason_of_the_connection(wire: Wire) -> None:
    stomp = await connected(wire)
    wire.client_link.hold_writes = True
    sending = asyncio.create_task(stomp.send("/x", "1"))
    await wire.heard("SEND")
    wire.says("ERROR", {"message": "enough"})
    with pytest.raises(cp.StompError, match="enough") as caught:
        await sending
    assert caught.value.sent is True
    await stomp.close()


async def test_a_connection_that_was_awaited_is_a_context_manager(wire: Wire) -> None:
    async with await connected(wire) as stomp:
        subscription = await stomp.subscribe("/q")
        await wire.heard("SUBSCRIBE")
        wire.hangs_up()
        with pytest.raises(cp.ConnectionClosed):
            await anext(subscription)
        await stomp.unsubscribe(subscription)


@pytest.mark.parametrize("receipt", [False, True])
async def test_a_call_after_a_protocol_error_says_whether_it_was_sent(wire: Wire, receipt: bool) -> None:
    stomp = await connected(wire)
    subscription = await stomp.subscribe("/q")
    sending = asyncio.create_task(stomp.send("/x", receipt=True)) if receipt else None
    await wire.heard("SUBSCRIBE")
    if sending is not None:
        await wire.heard("SEND")
    wire.says("SEND")
    with pytest.raises(cp.DecodeError):
        await anext(subscription)
    if sending is None:
        with pytest.raises(cp.RequestNotSent, match="does not send SEND") as refused:
            await stomp.send("/x")
        assert refused.value.sent is False
    else:
        with pytest.raises(cp.ConnectionClosed, match="does not send SEND") as lost:
            await sending
        assert lost.value.sent is True
    await stomp.close()
