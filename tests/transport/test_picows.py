"""What is particular to links with picows; test_links runs the rest with both libraries."""

from __future__ import annotations

import asyncio
import socket

import pytest

import cryptoproto as cp
from cryptoproto.transport import Closed, OpenOptions
from cryptoproto.transport.picows import open_picows
from tests.support.links import Recorder, linked


@pytest.mark.parametrize("url", ["http://localhost", "ws://"])
async def test_addresses_that_picows_cannot_use(url: str) -> None:
    with pytest.raises(cp.ConfigurationError):
        await open_picows(url, Recorder(), OpenOptions())


async def test_a_cancelled_handshake_closes_its_socket() -> None:
    gone: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    asked = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        gone.set_result(await reader.read())
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        opening = asyncio.ensure_future(open_picows(url, Recorder(), OpenOptions()))
        await asked.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        assert await asyncio.wait_for(gone, 10) == b""


async def test_a_cancelled_connection_attempt_closes_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

    async def connect(made: socket.socket, address: object) -> None:
        begun.set_result(made)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
    opening = asyncio.ensure_future(open_picows("ws://127.0.0.1:1", Recorder(), OpenOptions()))
    made = await begun
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert made.fileno() == -1


async def test_calls_on_a_link_that_has_ended_do_nothing() -> None:
    async with linked("picows", "picows") as (client, link, server, there):
        link.close(4000, "enough", 5.0)
        assert (await server.closed).code == 4000
        await client.closed
        for end in (link, there):
            end.resume_reading()
            end.pause_reading()
            end.close(1000, "", 5.0)
            end.abort()
            await end.drain()
        assert client.closed.done()


async def test_a_close_after_the_peers_close_only_sets_a_deadline() -> None:
    async with linked("picows", "picows") as (client, _, server, there):
        there.close(4001, "first", 5.0)
        there.close(4002, "second", 5.0)
        assert await client.closed == Closed(4001, "first")
        await server.closed
