"""What is particular to links with websockets; test_links runs the rest with both libraries."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.client import ClientProtocol
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

import cryptoproto as cp
from cryptoproto.transport import Closed, OpenOptions
from cryptoproto.transport.sans_io import _Link, open_websockets
from tests.support.links import Recorder, linked, listening


class Wire(asyncio.Transport):
    """What a link writes, without a network. With *tls* there is no half-close."""

    def __init__(self, *, tls: bool = False) -> None:
        super().__init__()
        self.written = b""
        self.calls: list[str] = []
        self._tls = tls

    def write(self, data: Any) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return not self._tls

    def write_eof(self) -> None:
        self.calls.append("write_eof")

    def close(self) -> None:
        self.calls.append("close")

    def abort(self) -> None:
        self.calls.append("abort")

    def is_closing(self) -> bool:
        return bool(self.calls)


def dialled(listener: Recorder, wire: Wire) -> tuple[_Link, bytes]:
    """A client's link that has sent its request, and the server's answer to that."""
    link = _Link(ClientProtocol(parse_uri("ws://localhost")), listener, None)
    link.connection_made(wire)
    server = ServerProtocol()
    server.receive_data(wire.written)
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]
    return link, b"".join(server.data_to_send())


async def test_a_link_that_was_cancelled_as_it_opened_is_aborted() -> None:
    client, wire = Recorder(), Wire()
    link, answer = dialled(client, wire)
    link.opened.cancel()
    link.data_received(answer)
    assert wire.calls == ["abort"]
    assert client.transport is None
    link.connection_lost(None)
    assert not client.closed.done(), "it was never open"


async def test_a_connection_that_is_reset_during_the_handshake() -> None:
    client = Recorder()
    link, _ = dialled(client, Wire())
    link.connection_lost(OSError("reset by peer"))
    with pytest.raises(ConnectionResetError, match="the connection was lost: reset by peer"):
        await link.opened


async def test_over_tls_the_connection_is_closed_for_lack_of_a_half_close() -> None:
    for tls, call in ((False, "write_eof"), (True, "close")):
        server, wire = Recorder(), Wire(tls=tls)
        link = _Link(ServerProtocol(), server, None)
        link.connection_made(wire)
        link.data_received(b"not HTTP at all\r\n\r\n")
        assert call in wire.calls
        link.connection_lost(None)
        with pytest.raises(cp.HandshakeError):
            await link.opened


async def test_a_write_that_was_never_paused_can_resume() -> None:
    client, wire = Recorder(), Wire()
    link, answer = dialled(client, wire)
    link.data_received(answer)
    link.resume_writing()
    assert link.writable
    await link.drain()
    link.pause_writing()
    held = link.writable
    waiting = asyncio.ensure_future(link.drain())
    await asyncio.sleep(0)
    link.resume_writing()
    await waiting
    assert (held, link.writable) == (False, True)
    link.connection_lost(None)


async def test_the_handshake_without_a_separate_timeout() -> None:
    async with listening("websockets") as (url, ends):
        client = Recorder()
        link = await open_websockets(url, client, OpenOptions(timeout=None))
        await ends[0].until(lambda: ends[0].transport is not None)
        link.abort()
        await client.closed


async def test_an_address_that_websockets_cannot_use() -> None:
    with pytest.raises(cp.ConfigurationError):
        await open_websockets("http://localhost", Recorder(), OpenOptions())


async def test_calls_on_a_link_that_has_ended_do_nothing() -> None:
    async with linked("websockets", "websockets") as (client, link, server, there):
        link.close(4000, "enough", 5.0)
        assert await server.closed == Closed(4000, "enough")
        await client.closed
        for end in (link, there):
            end.send(b"late")
            end.send_text("late")
            end.ping()
            end.resume_reading()
            end.pause_reading()
            end.close(1000, "", 5.0)
            end.abort()
            await end.drain()
        assert server.log == client.log == []


async def test_a_refused_handshake_is_reported_once() -> None:
    client = Recorder()
    link, _ = dialled(client, Wire())
    link.data_received(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    link.connection_lost(OSError("reset"))
    with pytest.raises(cp.HandshakeError, match="HTTP status 404"):
        await link.opened
    assert not client.closed.done(), "it was never open"
