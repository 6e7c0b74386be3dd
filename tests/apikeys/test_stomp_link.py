"""The STOMP client on real sockets with both libraries, and the link below it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

import cryptoproto as cp
from cryptoproto.apikeys import StompConnection
from cryptoproto.apikeys.server.demonstration import running
from cryptoproto.apikeys.stomp_link import StompLink
from cryptoproto.transport import TransportKind, serve
from tests.support.apikeys.stomp_wire import URL, Wire
from tests.support.certificates import self_signed
from tests.support.leaks import loop_reports
from tests.support.peer import settle


@contextlib.asynccontextmanager
async def _on_a_socket(wire: Wire, **options: Any) -> AsyncIterator[str]:
    """*wire* behind a server that supports no subprotocols, like some gateways."""
    server = await serve(lambda: wire, "127.0.0.1", 0, kind="websockets", **options)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}/stomp/v0"
    finally:
        server.close()
        await wire.closed.wait()


def _connect(url: str, kind: TransportKind, **options: Any) -> Any:
    return StompConnection.connect(url, transport=kind, heart_beat_ms=(0, 0), **options)


async def test_close_codes_and_reasons_arrive(kind: TransportKind) -> None:
    wire = Wire()
    wire.says("CONNECTED", {"version": "1.2"})
    async with _on_a_socket(wire) as place:
        stomp = await _connect(f"ws://{place}", kind)
        subscription = await stomp.subscribe("/q")
        await wire.heard("CONNECT")
        name = (await wire.heard("SUBSCRIBE")).headers["id"]
        wire.says("MESSAGE", {"subscription": name}, "zuerst ü".encode())
        wire.says("MESSAGE", {"subscription": name}, b"then \xff")
        wire.hangs_up(4711)
        assert [(await anext(subscription)).body for _ in range(2)] == ["zuerst ü".encode(), b"then \xff"]
        with pytest.raises(cp.ConnectionClosed, match="with code 4711: gone"):
            await anext(subscription)
        await stomp.close()


async def test_closing_says_1000(kind: TransportKind) -> None:
    wire = Wire()
    wire.says("CONNECTED", {"version": "1.2"})
    async with _on_a_socket(wire) as place:
        stomp = await _connect(f"ws://{place}", kind)
        await wire.heard("CONNECT")
        closing = asyncio.create_task(stomp.close())
        wire.says("RECEIPT", {"receipt-id": (await wire.heard("DISCONNECT")).headers["receipt"]})
        await closing
    assert wire.code == 1000


async def test_a_message_that_is_too_long_is_named(kind: TransportKind) -> None:
    wire = Wire()
    wire.says("CONNECTED", {"version": "1.2"})
    async with _on_a_socket(wire) as place:
        stomp = await _connect(f"ws://{place}", kind, max_body=1000)
        subscription = await stomp.subscribe("/q")
        await wire.heard("CONNECT")
        await wire.heard("SUBSCRIBE")
        wire.says("MESSAGE", {}, b"x" * 200_000)
        with pytest.raises(cp.ConnectionClosed, match=r"without a close code: .*132072"):
            await anext(subscription)
        await stomp.close()
    assert wire.code == 1009


async def test_tls_is_checked_unless_a_context_says_otherwise(kind: TransportKind, tmp_path: Path) -> None:
    certificate, server_context = self_signed(tmp_path)
    wire = Wire()
    wire.says("CONNECTED", {"version": "1.2"})
    async with _on_a_socket(wire, ssl=server_context) as place:
        with loop_reports() as reports:  # asyncio tells of handshakes that a client gave up, in debug mode
            with pytest.raises(ssl.SSLError, match=r"(?i)certificate"):
                await _connect(f"wss://{place}", kind)
            async with asyncio.timeout(20):
                while not reports:  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0)
        stomp = await _connect(f"wss://{place}", kind, ssl=ssl.create_default_context(cafile=certificate))
        assert stomp.version == "1.2"
        wire.hangs_up()
        await wire.closed.wait()
        await stomp.close()


async def test_a_gateway_of_another_subprotocol(kind: TransportKind) -> None:
    async def accept(socket: WebSocket) -> None:
        await socket.accept(subprotocol="mqtt")
        await socket.close()

    async with running(Starlette(routes=[WebSocketRoute("/stomp/v0", accept)])) as url:
        place = url.removeprefix("http://")
        with pytest.raises(cp.HandshakeError) as caught:
            await _connect(f"ws://me:secret@{place}/stomp/v0", kind)
    assert str(caught.value) == (
        f"no WebSocket at ws://{place}/stomp/v0: the server answered with the subprotocol 'mqtt', and we offered "
        f"v12.stomp and v11.stomp; is the path right?"
    )


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("http://host/stomp", {}, "not a ws:// or wss:// URL: 'http://host/stomp'"),
        ("ws:///stomp", {}, "not a ws:// or wss:// URL"),
        ("ws://[::1/stomp", {}, "not a ws:// or wss:// URL: Invalid IPv6"),
        ("ws://host:port/stomp", {}, "not a ws:// or wss:// URL: Port"),
        (f"ws://{'x' * 64}/stomp", {}, "not a ws:// or wss:// URL"),
        ("ws://host/#part", {}, "fragment"),
        ("ws://host/stomp", {"ssl": ssl.create_default_context()}, "the address is ws://"),
        ("wss://host/stomp", {"ssl": True}, r"must be an ssl\.SSLContext"),
        ("ws://host/stomp", {"transport": "pigeon"}, "transport='pigeon' is not known"),
    ],
)
async def test_addresses_that_cannot_be_used(url: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        await StompConnection.connect(url, **options)


async def test_a_gateway_that_sends_too_early_is_paused() -> None:
    wire = Wire()
    link = StompLink(URL, wire.opener, None)
    await link.open(timeout=None, max_message_bytes=1000)
    for number in range(100):
        wire.link.send(b"%d" % number)
    await settle()
    assert not wire.client_reads()
    assert [await link.receive() for _ in range(100)] == [b"%d" % number for number in range(100)]
    assert wire.client_reads()
    wire.link.send_text("and the last")
    wire.link.close(1001, "gone", 1.0)
    assert await link.receive() == "and the last"
    with pytest.raises(cp.ConnectionClosed, match="with code 1001: gone"):
        await link.receive()


async def test_a_link_that_was_closed_here() -> None:
    wire = Wire()
    link = StompLink(URL, wire.opener, None)
    await link.wait_closed()  # was never open
    await link.open(timeout=None, max_message_bytes=1000)
    receiving = asyncio.create_task(link.receive())
    await settle()
    wire.link.send(b"too late")
    link.close()
    with pytest.raises(cp.ConnectionClosed, match="closed by this end"):
        await receiving
    with pytest.raises(cp.ConnectionClosed, match="closed by this end") as caught:
        await link.send(b"x")
    assert caught.value.sent is False
    await link.wait_closed()
    link.abort()
    assert wire.code == 1000
