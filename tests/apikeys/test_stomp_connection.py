"""The STOMP client against a gateway that is written out frame by frame, with time that the test moves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, Frame, StompConnection
from cryptoproto.apikeys.stomp_frames import FrameParser, encode_frame

from .conftest import Clock, Sleeper

URL = "ws://gateway/stomp/v0"


class Wire:
    """Both ends of a WebSocket in memory: the connection's channel, and the test's side of it."""

    def __init__(self) -> None:
        self._to_client: asyncio.Queue[bytes | cp.ConnectionClosed] = asyncio.Queue()
        self._to_gateway: asyncio.Queue[Frame | None] = asyncio.Queue()
        self._parser = FrameParser()
        self.closed = asyncio.Event()
        self.subprotocols: tuple[str, ...] = ()

    # the channel
    async def __call__(self, url: str, *, subprotocols: tuple[str, ...], **_: Any) -> Wire:
        assert url == URL
        self.subprotocols = subprotocols
        return self

    async def send(self, data: bytes) -> None:
        for frame in self._parser.feed(data):
            self._to_gateway.put_nowait(frame)

    async def receive(self) -> bytes:
        item = await self._to_client.get()
        if isinstance(item, cp.ConnectionClosed):
            raise item
        return item

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed.set()

    # the gateway
    async def heard(self, command: str | None) -> Frame:
        frame = await self._to_gateway.get()
        assert (frame.command if frame is not None else None) == command
        return frame or Frame("SEND")

    def says(self, command: str, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self._to_client.put_nowait(encode_frame(Frame(command, headers or {}, body)))

    def beats(self) -> None:
        self._to_client.put_nowait(b"\n")

    def hangs_up(self, code: int | None = 1006) -> None:
        self._to_client.put_nowait(cp.ConnectionClosed(code, "gone"))


@pytest.fixture
def wire() -> Wire:
    return Wire()


def _connect(wire: Wire, **options: Any) -> Any:
    options.setdefault("heart_beat_ms", (0, 0))
    return StompConnection.connect(URL, opener=wire, **options)


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
    assert wire.closed.is_set()


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
        assert wire.subprotocols == ("v12.stomp", "v11.stomp")
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
    assert wire.closed.is_set()


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
    assert wire.closed.is_set()


async def test_no_answer_to_connect(wire: Wire) -> None:
    wire.hangs_up()
    with pytest.raises(cp.HandshakeError, match="closed the connection instead of answering"):
        await _connect(wire)
    with pytest.raises(TimeoutError):
        await _connect(wire, open_timeout=0)
    wire._to_client.put_nowait(b"HTTP/1.1 400\n\n")
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
    wire.beats()
    wire.says("MESSAGE", {"subscription": name})
    await anext(subscription)
    clock.now += 1.0
    waiting.set_result(None)
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
