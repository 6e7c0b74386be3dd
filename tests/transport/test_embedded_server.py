"""A uvicorn server within another program."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
import uvicorn

import cryptoproto as cp
from cryptoproto.transport.embedded_server import EmbeddedServer, listening_socket


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_it_listens_and_leaves_the_signals_alone() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    server = EmbeddedServer(uvicorn.Config(answer, lifespan="off", ws="none", log_config=None))
    with listening_socket("127.0.0.1", 0) as listener:
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        await server.listening.wait()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 204 ")
        writer.close()
        await writer.wait_closed()
        server.should_exit = True
        await serving


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken(host: str) -> None:
    with listening_socket(host, 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(cp.ConfigurationError, match=f"cannot listen on {host} port {port}: another program uses"):
            listening_socket(host, port)
