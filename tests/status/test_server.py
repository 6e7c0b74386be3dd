"""The server as a whole: where it listens, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import importlib
import logging
import socket
import sys
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.status import serve_status
from cryptoproto.status import server as module


async def test_the_address(client: cp.Client) -> None:
    async with serve_status(client) as status, httpx.AsyncClient(trust_env=False) as http:
        parts = urlsplit(status.url)
        assert (parts.hostname, parts.path) == ("127.0.0.1", "/")
        assert parse_qs(parts.query) == {"token": [status.token]}
        assert (await http.get(status.url)).status_code == 200
        assert status.token not in repr(status)
    async with serve_status(client, token="a&b=c/d+e%") as status, httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(status.url)).status_code == 200
        assert status.token == "a&b=c/d+e%"


async def test_it_listens_on_loopback_only(client: cp.Client) -> None:
    async with serve_status(client) as status:
        port = urlsplit(status.url).port
        others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
        for address in {str(other) for other in others if not str(other).startswith("127.")}:
            with pytest.raises(OSError, match=r"refused|unreachable"):
                await asyncio.open_connection(address, port)


@pytest.mark.parametrize("port", [-1, 65_536, "8500", True, None])
async def test_a_port_that_is_none(client: cp.Client, port: object) -> None:
    with pytest.raises(cp.ConfigurationError, match="must be a whole number from 0 to 65535"):
        async with serve_status(client, port=port):  # type: ignore[arg-type]
            pass


async def test_a_port_that_is_taken(client: cp.Client) -> None:
    async with serve_status(client) as status:
        port = urlsplit(status.url).port or 0
        with pytest.raises(cp.ConfigurationError, match=f"127.0.0.1 port {port}: .*choose another one"):
            async with serve_status(client, port=port):
                pass


async def test_what_cannot_be_shown() -> None:
    with pytest.raises(cp.ConfigurationError, match=r"a Connection cannot be shown; pass a cryptoproto\.Client"):
        async with serve_status(cp.Connection.__new__(cp.Connection)):  # type: ignore[arg-type]
            pass
    assert hasattr(sync.Client, "client_id")


async def test_a_bad_token_is_refused_before_anything_listens(client: cp.Client) -> None:
    with pytest.raises(cp.ConfigurationError, match="token"):
        async with serve_status(client, token="two words"):
            pass


async def test_the_token_is_in_no_log(client: cp.Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve_status(client) as status, httpx.AsyncClient(trust_env=False) as http:
        logging.getLogger("httpx").setLevel(logging.WARNING)
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        await http.get(status.url)
        await http.get(f"{status.address}/status.json?token={status.token}x")
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(status.url).port)
        writer.write(b"GET /?token=%b no http\r\n\r\n" % status.token.encode())
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert status.token not in caplog.text


async def test_pages_are_told_that_it_closes(client: cp.Client) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        async with serve_status(client) as status:
            request = http.build_request("GET", f"{status.address}/events?token={status.token}")
            answer = await http.send(request, stream=True)
            lines = answer.aiter_lines()
            assert await anext(lines) == "event: full"
        rest = [line async for line in lines]
        assert "event: closing" in rest
        await answer.aclose()


async def test_a_reader_that_does_not_read_holds_nothing_up(client: cp.Client) -> None:
    await asyncio.gather(*(client.place("BTC_USD", "buy", amount="0.1", price=price) for price in range(1, 400)))
    async with serve_status(client, token="t") as status:
        port = urlsplit(status.url).port
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", port))
        await loop.sock_sendall(raw, b"GET /events?token=t HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with httpx.AsyncClient(trust_env=False) as http:
            for count in (401, 402):
                await client.place("BTC_USD", "buy", amount="0.1", price="1")
                document = (await http.get(f"{status.address}/status.json?token=t")).json()
                assert len(document["open_orders"]) == count
    raw.close()


async def test_an_error_in_the_block_ends_the_server(client: cp.Client) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with serve_status(client) as status:
            raise ValueError("mine")
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(status.address)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(cp.ConfigurationError, match=r"status needs uvicorn: pip install 'cryptoproto\[status\]'"):
        importlib.reload(module)
    monkeypatch.undo()
    importlib.reload(module)
