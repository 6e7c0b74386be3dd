"""The STOMP endpoint behind uvicorn: our client, and frames written by hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, SessionAuth, StompConnection
from cryptoproto.apikeys.server import (
    ApiKey,
    ApiKeysConfig,
    ApiKeysMiddleware,
    Gatekeeper,
    KeyStore,
    StompBroker,
    StompEndpoint,
)
from cryptoproto.apikeys.server.demonstration import demonstration_app, running
from cryptoproto.apikeys.stomp_frames import FrameParser
from cryptoproto.transport import TransportKind
from tests.support.apikeys.clocks import Clock, Sleeper
from tests.support.apikeys.samples import AUTH, READ_WRITE, SMALL_LIMITS


class Served:
    """An endpoint and its broker."""

    def __init__(self, gatekeeper: Gatekeeper, **options: Any) -> None:
        self.broker = StompBroker()
        options.setdefault("heart_beat_ms", (0, 0))
        endpoint = StompEndpoint(gatekeeper, self.broker, **options)
        self.app = ApiKeysMiddleware(Starlette(routes=[WebSocketRoute("/stomp/v0", endpoint)]), gatekeeper)


@contextlib.asynccontextmanager
async def _served(gatekeeper: Gatekeeper, **options: Any) -> AsyncIterator[tuple[Served, str]]:
    served = Served(gatekeeper, **options)
    async with running(served.app) as url:
        yield served, url.replace("http", "ws") + "/stomp/v0"


def _connect_frame(**changes: str) -> str:
    headers = {"accept-version": "1.1,1.2", **AUTH.stomp_headers("90dd333e"), **changes}
    return "CONNECT\n" + "".join(f"{name}:{value}\n" for name, value in headers.items()) + "\n\0"


async def _ended(socket: ClientConnection) -> tuple[str, int | None]:
    """The message of the final ERROR frame, and the close code."""
    parser, message = FrameParser(), ""
    while True:
        try:
            data = await socket.recv()
        except ConnectionClosed as error:
            return message, error.rcvd.code if error.rcvd is not None else None
        for frame in parser.feed(data):
            if frame is not None and frame.command == "ERROR":
                message = frame.headers["message"]
                assert frame.body.decode() == message


async def test_both_versions_end_to_end(basic_gatekeeper: Gatekeeper, kind: TransportKind) -> None:
    async with _served(basic_gatekeeper) as (served, url):
        for versions, awkward in ((("1.2",), "a:b\\c\r\nd"), (("1.1",), "a:b\\c\nd")):
            async with StompConnection.connect(url, auth=AUTH, versions=versions, transport=kind) as stomp:
                assert stomp.version == versions[0]
                assert stomp.headers["user-name"] == "admin"
                subscription = await stomp.subscribe("/topic/ü:1", receipt=True)
                await stomp.send("/topic/ü:1", b"\xff\x00", headers={"note": awkward}, receipt=True)
                message = await anext(subscription)
                assert (message.body, message.headers["note"], message.destination) == (
                    b"\xff\x00",
                    awkward,
                    "/topic/ü:1",
                )
                await subscription.unsubscribe()
                await stomp.send("/topic/ü:1", "unheard", receipt=True)
                assert served.broker.listeners("/topic/ü:1") == 0


async def test_a_session_connects_and_its_nonce_counts(
    session_gatekeeper: Gatekeeper, alice_key: cp.PrivateKey
) -> None:
    async with running(demonstration_app(session_gatekeeper)) as url:
        socket = url.replace("http", "ws") + "/stomp/v0"
        auth = await SessionAuth.login(url, "TEST_SESSION_API_KEY", alice_key, limits=SMALL_LIMITS)
        async with auth, httpx.AsyncClient(auth=auth, base_url=url) as http:

            async def connect_once() -> None:
                async with StompConnection.connect(socket, auth=auth):
                    pass

            await asyncio.gather(*(connect_once() for _ in range(5)), *(http.get("/api/v0/streams") for _ in range(5)))
            headers = auth.stomp_headers()
            async with StompConnection.connect(socket, headers=headers):
                pass
            with pytest.raises(cp.LoginRefused, match="nonce is not above the last one"):
                await StompConnection.connect(socket, headers=headers)
            with pytest.raises(cp.LoginRefused, match="no credentials: log in"):
                await StompConnection.connect(socket, auth=AUTH)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"X-Deltix-ApiKey": "NOBODY"}, "unknown API key"),
        ({"X-Deltix-Payload": "other"}, "the signature is wrong"),
        ({"X-Deltix-Signature": "A" * 64}, "the signature is wrong"),
        ({"X-Deltix-Signature": "?"}, "not base64"),
        ({"accept-version": "1.0,2.0"}, "supported versions are 1.1 and 1.2"),
        ({"heart-beat": "often"}, "heart-beat header"),
    ],
)
async def test_connects_that_are_refused(basic_gatekeeper: Gatekeeper, changes: dict[str, str], words: str) -> None:
    async with _served(basic_gatekeeper) as (_, url), connect(url) as socket:
        await socket.send(_connect_frame(**changes))
        message, code = await _ended(socket)
        assert words in message
        assert code == 1008


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (["SUBSCRIBE\nid:1\ndestination:/x\n\n\0"], "the first frame must be CONNECT"),
        (["hello" * 10], "does not begin with a command"),
        (["SEND\ndestination:/x\ncontent-length:1\n\n"], "the maximum is 0"),
        (["SEND\ndestination:/x\n\nbody"], "longer than 0 bytes"),
        ([_connect_frame() + "SEND\ndestination:/x\n\n\0"], "wait for CONNECTED"),
        ([_connect_frame(), _connect_frame()], "CONNECT frame is not expected"),
        ([_connect_frame(), "MESSAGE\n\n\0"], "MESSAGE frame is not expected"),
        ([_connect_frame(), "SUBSCRIBE\nid:1\n\n\0"], "needs the header destination"),
        ([_connect_frame(), "SUBSCRIBE\ndestination:/x\n\n\0"], "needs the header id"),
        ([_connect_frame(), "SUBSCRIBE\nid:1\ndestination:/x\nack:never\n\n\0"], "ack must be one of"),
        ([_connect_frame(), "SUBSCRIBE\nid:1\ndestination:/x\n\n\0" * 2], "already a subscription"),
        ([_connect_frame(), "UNSUBSCRIBE\nid:1\n\n\0"], "no subscription with that id"),
        ([_connect_frame(), "ACK\nid:1\n\n\0"], "no unacknowledged message with that id"),
        ([_connect_frame(), "BEGIN\ntransaction:1\n\n\0"], "transactions are not supported"),
        ([_connect_frame(), "SEND\ndestination:/x\ntransaction:1\n\n\0"], "transactions are not supported"),
        ([_connect_frame(), "SEND\ndestination:/x\ncontent-length:9999999\n\n"], "the maximum is"),
    ],
)
async def test_frames_that_end_the_connection(basic_gatekeeper: Gatekeeper, frames: list[str], words: str) -> None:
    async with _served(basic_gatekeeper) as (_, url), connect(url) as socket:
        for frame in frames:
            await socket.send(frame)
        message, code = await _ended(socket)
        assert words in message
        assert code == 1008


async def test_no_connect_in_time(basic_gatekeeper: Gatekeeper) -> None:
    async with _served(basic_gatekeeper, connect_timeout=0) as (_, url), connect(url) as socket:
        assert await _ended(socket) == ("no CONNECT frame arrived within 0 s", 1008)


async def test_acknowledgements(basic_gatekeeper: Gatekeeper) -> None:
    async with _served(basic_gatekeeper) as (served, url):
        for version in ("1.2", "1.1"):
            async with StompConnection.connect(url, auth=AUTH, versions=(version,)) as stomp:
                together = await stomp.subscribe("/all", ack="client", receipt=True)
                single = await stomp.subscribe("/one", ack="client-individual", receipt=True)
                for destination in ("/all", "/all", "/one", "/one"):
                    served.broker.publish(destination, b"x")
                first, second = await anext(together), await anext(together)
                await second.ack()  # and with it the first
                third, fourth = await anext(single), await anext(single)
                await fourth.nack()
                await third.ack()
                await stomp.send("/x", receipt=True)  # so far everything was in order
                await first.ack()
                with pytest.raises(cp.StompError, match="no unacknowledged message with that id"):
                    await anext(single)


async def test_a_client_that_reads_nothing_is_disconnected(basic_gatekeeper: Gatekeeper, kind: TransportKind) -> None:
    async with _served(basic_gatekeeper, max_queue=10) as (served, url):
        async with StompConnection.connect(url, auth=AUTH, transport=kind) as stomp:
            subscription = await stomp.subscribe("/x", receipt=True)
            for _ in range(100):  # without a chance to write in between
                served.broker.publish("/x", b"x")
            with pytest.raises(cp.ConnectionClosed, match="more than 10 messages waited"):
                async for _ in subscription:
                    pass
        assert served.broker.listeners("/x") == 0


async def test_a_client_that_reads_nothing_is_bounded_in_bytes(basic_gatekeeper: Gatekeeper) -> None:
    async with _served(basic_gatekeeper, max_queue_bytes=100_000) as (served, url):
        async with StompConnection.connect(url, auth=AUTH) as stomp:
            subscription = await stomp.subscribe("/x", receipt=True)
            for _ in range(3):  # without a chance to write in between
                served.broker.publish("/x", bytes(40_000))
            with pytest.raises(cp.ConnectionClosed, match="more than 100000 bytes waited"):
                async for _ in subscription:
                    pass
        assert served.broker.listeners("/x") == 0


async def test_authorities_are_asked_by_default(basic_gatekeeper: Gatekeeper) -> None:
    reader = ApiKeyAuth("READ_ONLY", "READ_ONLY_SECRET")
    async with _served(basic_gatekeeper) as (_, url), StompConnection.connect(url, auth=reader) as stomp:
        await stomp.subscribe("/x", receipt=True)
        with pytest.raises(cp.StompError, match="may not send"):
            await stomp.send("/x", "x", receipt=True)
    nobody = KeyStore.of(ApiKey.parse("TEST_API_KEY", "TEST_API_SECRET", "u"))
    gatekeeper = Gatekeeper(ApiKeysConfig(nobody))
    async with _served(gatekeeper) as (_, url), StompConnection.connect(url, auth=AUTH) as stomp:
        with pytest.raises(cp.StompError, match="may not subscribe"):
            await stomp.subscribe("/x", receipt=True)


async def test_a_user_whose_name_no_header_can_carry() -> None:
    keys = KeyStore.of(ApiKey.parse("TEST_API_KEY", "TEST_API_SECRET", "two\nlines", READ_WRITE))
    gatekeeper = Gatekeeper(ApiKeysConfig(keys))
    async with _served(gatekeeper) as (_, url), StompConnection.connect(url, auth=AUTH) as stomp:
        assert "user-name" not in stomp.headers


async def test_a_client_that_disconnects(basic_gatekeeper: Gatekeeper) -> None:
    async with _served(basic_gatekeeper) as (served, url):
        for frames in ([], [_connect_frame(), "SUBSCRIBE\nid:1\ndestination:/x\nreceipt:r\n\n\0"]):
            async with connect(url) as socket:
                for frame in frames:
                    await socket.send(frame)
                    await socket.recv()
        while served.broker.listeners("/x"):  # noqa: ASYNC110 - the server's tasks take turns
            await asyncio.sleep(0)


async def test_heart_beats_both_ways(basic_gatekeeper: Gatekeeper, clock: Clock, sleeper: Sleeper) -> None:
    options = {"heart_beat_ms": (5000, 0), "clock": clock, "sleep": sleeper}
    async with _served(basic_gatekeeper, **options) as (_, url), connect(url) as socket:
        await socket.send(_connect_frame(**{"heart-beat": "0,1000"}))
        assert "heart-beat:5000,0" in str(await socket.recv())
        for _ in range(2):
            assert await sleeper.pass_one() == 5.0
            assert await socket.recv() == "\n"


async def test_a_silent_client_is_disconnected(basic_gatekeeper: Gatekeeper, clock: Clock, sleeper: Sleeper) -> None:
    options = {"heart_beat_ms": (0, 1000), "clock": clock, "sleep": sleeper}
    async with _served(basic_gatekeeper, **options) as (_, url), connect(url) as socket:
        await socket.send(_connect_frame(**{"heart-beat": "2000,0"}))
        assert "CONNECTED" in str(await socket.recv())
        assert await sleeper.pass_one() == 4.0
        assert await _ended(socket) == ("", 1002)


async def test_removing_a_key_ends_its_connections() -> None:
    present = {"TEST_API_KEY": ApiKey.parse("TEST_API_KEY", "TEST_API_SECRET", "u", READ_WRITE)}
    store = KeyStore(lambda: dict(present))
    async with _served(Gatekeeper(ApiKeysConfig(store))) as (served, url):
        listening = await StompConnection.connect(url, auth=AUTH)
        talking = await StompConnection.connect(url, auth=AUTH)
        subscription = await listening.subscribe("/x", receipt=True)
        present.clear()
        store.reload()
        served.broker.publish("/x", b"secret")
        for waiting in (anext(subscription), talking.send("/x", receipt=True)):
            with pytest.raises(cp.StompError, match="removed or changed"):
                await waiting
        await listening.close()
        await talking.close()


async def test_the_subprotocol_is_agreed(basic_gatekeeper: Gatekeeper) -> None:
    async with _served(basic_gatekeeper) as (_, url):
        async with connect(url, subprotocols=["v11.stomp"]) as socket:  # type: ignore[list-item]
            assert socket.subprotocol == "v11.stomp"
        async with connect(url) as socket:
            assert socket.subprotocol is None


async def test_servers_that_are_not_gateways(
    basic_gatekeeper: Gatekeeper, kind: TransportKind, unused_tcp_port: int
) -> None:
    async with running(demonstration_app(basic_gatekeeper)) as url:
        with pytest.raises(cp.HandshakeError, match=r"no WebSocket at .*HTTP status 40.; is the path right"):
            await StompConnection.connect(url.replace("http", "ws") + "/elsewhere", auth=AUTH, transport=kind)
        with pytest.raises(cp.ConfigurationError, match="not a ws:// or wss:// URL"):
            await StompConnection.connect(url, auth=AUTH, transport=kind)
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await StompConnection.connect(f"ws://127.0.0.1:{unused_tcp_port}", auth=AUTH, transport=kind)


class Socket:
    """The ASGI side of a WebSocket, without a server."""

    def __init__(self, *messages: dict[str, Any], gone_after: int | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self._messages = [{"type": "websocket.connect"}, *messages, {"type": "websocket.disconnect", "code": 1006}]
        self._gone_after = gone_after

    async def receive(self) -> dict[str, Any]:
        return self._messages.pop(0)

    async def send(self, message: Any) -> None:
        if self._gone_after is not None and len(self.sent) >= self._gone_after:
            raise OSError("gone")
        self.sent.append(message)


async def test_heart_beats_and_bytes_before_connect(basic_gatekeeper: Gatekeeper) -> None:
    frame = _connect_frame().encode()
    socket = Socket(
        {"type": "websocket.receive", "text": "\n"},
        {"type": "websocket.receive", "bytes": frame[:10]},
        {"type": "websocket.receive", "bytes": frame[10:]},
    )
    await StompEndpoint(basic_gatekeeper, StompBroker())({"type": "websocket"}, socket.receive, socket.send)
    assert "CONNECTED" in socket.sent[1]["text"]


async def test_messages_that_are_not_text_are_sent_in_binary(basic_gatekeeper: Gatekeeper) -> None:
    frames = [b"SUBSCRIBE\nid:1\ndestination:/x\n\n\0", b"SEND\ndestination:/x\n\n\xff\0"]
    frames.append(b"DISCONNECT\n\n\0")
    messages = [{"type": "websocket.receive", "text": _connect_frame()}]
    socket = Socket(*messages, *({"type": "websocket.receive", "bytes": frame} for frame in frames))
    await StompEndpoint(basic_gatekeeper, StompBroker())({"type": "websocket"}, socket.receive, socket.send)
    assert b"\xff" in socket.sent[2]["bytes"]
    assert socket.sent[3] == {"type": "websocket.close", "code": 1000, "reason": ""}


@pytest.mark.parametrize(("frame", "gone_after"), [("CONNECT\n\n\0", 1), ("rubbish", 1)])
async def test_a_client_that_is_gone_when_it_is_answered(
    basic_gatekeeper: Gatekeeper, frame: str, gone_after: int
) -> None:
    socket = Socket({"type": "websocket.receive", "text": frame}, gone_after=gone_after)
    await StompEndpoint(basic_gatekeeper, StompBroker())({"type": "websocket"}, socket.receive, socket.send)
    assert [message["type"] for message in socket.sent] == ["websocket.accept"]
