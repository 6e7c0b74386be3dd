"""The STOMP client against a gateway that is written out frame by frame, with time that the test moves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, StompConnection
from tests.support.peer import settle

from .conftest import Clock, Sleeper
from .wire import URL, Wire


@pytest.fixture
def wire() -> Wire:
    return Wire()


def _connect(wire: Wire, **options: Any) -> Any:
    options.setdefault("heart_beat_ms", (0, 0))
    return StompConnection.connect(URL, transport=wire.opener, **options)


async def _connected(wire: Wire, headers: dict[str, str] | None = None, **options: Any) -> StompConnection:
    wire.says("CONNECTED", {"version": "1.2", **(headers or {})})
    connection: StompConnection = await _connect(wire, **options)
    await wire.heard("CONNECT")
    return connection


async def _leave(wire: Wire, connection: StompConnection) -> None:
    closing = asyncio.create_task(connection.aclose())
    frame = await wire.heard("DISCONNECT")
    wire.says("RECEIPT", {"receipt-id": frame.headers["receipt"]})
    await closing
    await wire.closed.wait()


async def test_connect_carries_the_credentials(wire: Wire) -> None:
    auth = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")
    wire.says("CONNECTED", {"version": "1.1", "server": "x"})
    async with _connect(wire, auth=auth, headers={"login": "me"}, heart_beat_ms=(0, 0)) as stomp:
        sent = (await wire.heard("CONNECT")).headers
        assert sent["accept-version"] == "1.1,1.2"
        assert (sent["host"], sent["heart-beat"], sent["login"]) == ("gateway", "0,0", "me")
        assert {name: sent[name] for name in sent if name.startswith("X-")} == auth.stomp_headers(
            sent["X-Deltix-Payload"]
        )
        assert (stomp.version, stomp.headers["server"]) == ("1.1", "x")
        assert wire.options is not None
        assert wire.options.subprotocols == ("v12.stomp", "v11.stomp")
        wire.hangs_up()


async def test_subscriptions_are_async_iterators(wire: Wire) -> None:
    stomp = await _connected(wire)
    async with await stomp.subscribe("/topic/a:b", headers={"selector": "x = 1"}) as subscription:
        sent = (await wire.heard("SUBSCRIBE")).headers
        assert (sent["destination"], sent["ack"], sent["selector"]) == ("/topic/a:b", "auto", "x = 1")
        for number in range(3):
            wire.says("MESSAGE", {"subscription": sent["id"], "destination": "/topic/a:b"}, b'{"n": %d}' % number)
        wire.says("MESSAGE", {"subscription": "another"}, b"late, for one that was unsubscribed")
        assert [(await anext(subscription)).json()["n"] for _ in range(3)] == [0, 1, 2]
    assert (await wire.heard("UNSUBSCRIBE")).headers["id"] == sent["id"]
    assert [message async for message in subscription] == []
    await _leave(wire, stomp)


async def test_send_and_receipts(wire: Wire) -> None:
    stomp = await _connected(wire)
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
    await _leave(wire, stomp)


async def test_acknowledgements_of_both_versions(wire: Wire) -> None:
    stomp = await _connected(wire)
    subscription = await stomp.subscribe("/q", ack="client-individual")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    wire.says("MESSAGE", {"subscription": name, "message-id": "7", "ack": "a7"})
    message = await anext(subscription)
    await message.ack()
    assert (await wire.heard("ACK")).headers == {"id": "a7"}
    stomp.version = "1.1"
    await message.nack()
    assert (await wire.heard("NACK")).headers == {"message-id": "7", "subscription": name}
    stomp.version = "1.2"
    wire.says("MESSAGE", {"subscription": name, "message-id": "8"})
    with pytest.raises(cp.ConfigurationError, match="asks for no acknowledgement"):
        await (await anext(subscription)).ack()
    await _leave(wire, stomp)


async def test_a_refused_connect(wire: Wire) -> None:
    wire.says("ERROR", {"message": "unknown API key"})
    with pytest.raises(cp.LoginRefused, match="refused the CONNECT: unknown API key; are the key"):
        await _connect(wire)
    await wire.closed.wait()


@pytest.mark.parametrize(
    ("command", "headers", "complaint"),
    [
        ("CONNECTED", {}, r"CONNECTED 1\.0"),
        ("CONNECTED", {"version": "1.3"}, r"CONNECTED 1\.3"),
        ("RECEIPT", {"receipt-id": "1"}, "with RECEIPT"),
    ],
)
async def test_other_answers_to_connect(wire: Wire, command: str, headers: dict[str, str], complaint: str) -> None:
    wire.says(command, headers)
    with pytest.raises(cp.HandshakeError, match=complaint):
        await _connect(wire)
    await wire.closed.wait()


async def test_no_answer_to_connect(wire: Wire) -> None:
    wire.hangs_up()
    with pytest.raises(cp.HandshakeError, match="closed the connection instead of answering"):
        await _connect(wire)
    with pytest.raises(TimeoutError):
        await _connect(wire, open_timeout=0)
    await wire.closed.wait()
    wire.says_bytes(b"HTTP/1.1 400\n\n")
    with pytest.raises(cp.HandshakeError, match="does not speak STOMP"):
        await _connect(wire)


async def test_an_error_frame_ends_everything(wire: Wire) -> None:
    stomp = await _connected(wire)
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
    await stomp.aclose()
    assert "closed" in repr(stomp)


async def test_a_lost_connection_ends_everything(wire: Wire) -> None:
    stomp = await _connected(wire)
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
    await stomp.aclose()


async def test_closing_ends_iteration_quietly(wire: Wire) -> None:
    stomp = await _connected(wire)
    subscription = await stomp.subscribe("/q")
    await wire.heard("SUBSCRIBE")
    consumer = asyncio.create_task(anext(subscription, "the end"))
    closing = asyncio.create_task(stomp.aclose())
    await wire.heard("DISCONNECT")
    wire.hangs_up(1000)
    await closing
    assert await consumer == "the end"
    with pytest.raises(cp.ConnectionClosed, match="with code 1000"):
        await stomp.send("/x")


async def test_a_slow_consumer_is_told(wire: Wire) -> None:
    stomp = await _connected(wire, max_queue=2)
    subscription = await stomp.subscribe("/q")
    name = (await wire.heard("SUBSCRIBE")).headers["id"]
    for _ in range(3):
        wire.says("MESSAGE", {"subscription": name})
    await wire.closed.wait()
    await anext(subscription)
    await anext(subscription)
    with pytest.raises(cp.SlowConsumer, match="2 messages wait in a subscription to /q"):
        await anext(subscription)
    await stomp.aclose()


@pytest.mark.parametrize("command", ["CONNECTED", "SEND"])
async def test_frames_that_a_gateway_does_not_send(wire: Wire, command: str) -> None:
    stomp = await _connected(wire)
    subscription = await stomp.subscribe("/q")
    wire.says(command, {"version": "1.2"})
    with pytest.raises(cp.DecodeError, match=f"does not send {command}"):
        await anext(subscription)
    await stomp.aclose()


async def test_heart_beats_are_sent_when_nothing_else_is(wire: Wire, clock: Clock, sleeper: Sleeper) -> None:
    stomp = await _connected(wire, {"heart-beat": "0,2000"}, heart_beat_ms=(1000, 0), clock=clock, sleep=sleeper)
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
    await _leave(wire, stomp)


async def test_a_silent_gateway_is_given_up(wire: Wire, clock: Clock, sleeper: Sleeper) -> None:
    stomp = await _connected(wire, {"heart-beat": "3000,0"}, heart_beat_ms=(0, 1000), clock=clock, sleep=sleeper)
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
    with pytest.raises(cp.HeartbeatTimeout, match="nothing was heard from the gateway for 6 s"):
        await anext(subscription)
    await stomp.aclose()


def test_arguments_that_cannot_be_used(wire: Wire) -> None:
    for options in ({"versions": ()}, {"versions": ("1.0",)}, {"max_queue": 0}, {"heart_beat_ms": (-1, 0)}):
        with pytest.raises(cp.ConfigurationError):
            _connect(wire, **options)


async def test_a_subscription_that_could_not_be_sent_is_forgotten(wire: Wire) -> None:
    stomp = await _connected(wire)
    with pytest.raises(cp.ConfigurationError, match="NUL"):
        await stomp.subscribe("/q\0")
    assert not stomp._subscriptions
    await _leave(wire, stomp)


async def test_what_is_utf8_goes_as_text(wire: Wire) -> None:
    stomp = await _connected(wire)
    await stomp.send("/x", "Grüße")
    await stomp.send("/x", b"\xff")
    for _ in range(2):
        await wire.heard("SEND")
    assert wire.kinds == ["text", "text", "binary"]
    await _leave(wire, stomp)


async def test_sending_waits_while_the_network_is_slow(wire: Wire) -> None:
    stomp = await _connected(wire)
    wire.client_link.hold_writes = True
    sending = asyncio.create_task(stomp.send("/x", "1"))
    await wire.heard("SEND")
    await settle()
    assert not sending.done()
    wire.client_link.hold_writes = False
    await sending
    await _leave(wire, stomp)


@pytest.mark.parametrize("receipt", [False, True])
async def test_a_link_that_is_lost_while_the_network_is_slow(wire: Wire, receipt: bool) -> None:
    stomp = await _connected(wire)
    wire.client_link.hold_writes = True
    sending = asyncio.create_task(stomp.send("/x", "1", receipt=receipt))
    await wire.heard("SEND")
    wire.hangs_up(1001)
    with pytest.raises(cp.ConnectionClosed, match="with code 1001: gone") as caught:
        await sending
    assert caught.value.sent is True
    await stomp.aclose()


async def test_what_waits_for_a_slow_network_ends_for_the_reason_of_the_connection(wire: Wire) -> None:
    stomp = await _connected(wire)
    wire.client_link.hold_writes = True
    sending = asyncio.create_task(stomp.send("/x", "1"))
    await wire.heard("SEND")
    wire.says("ERROR", {"message": "enough"})
    with pytest.raises(cp.StompError, match="enough") as caught:
        await sending
    assert caught.value.sent is True
    await stomp.aclose()


async def test_a_cancelled_connect_cuts_the_link(wire: Wire) -> None:
    connecting = asyncio.create_task(_connect(wire).__aenter__())
    await wire.heard("CONNECT")
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    await wire.closed.wait()
    assert wire.code is None
