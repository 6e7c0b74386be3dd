"""How ``top`` reads a status, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

import cryptoproto as cp
from cryptoproto.cli import status_reader as module
from cryptoproto.cli.status_reader import StatusReader
from cryptoproto.status import serve_status
from tests.support.status_samples import status_of


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that answers every request in the same way, whatever it is."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/?token=t"


def http(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


async def test_it_reads_and_cancels(trading_client: cp.Client) -> None:
    await trading_client.place("BTC_USD", "buy", amount="1", price="100")
    async with serve_status(trading_client, allow_cancel=True) as status, StatusReader(status.url) as reader:
        assert reader.address == status.address
        assert len((await reader.read())["open_orders"]) == 1
        asked = await reader.ask_to_cancel_all()
        assert asked["open_orders"] == 1
        assert await reader.cancel_all(asked["confirm"]) == {"cancelled": True, "open_orders": 0}
        with pytest.raises(cp.ConfigurationError, match="the confirmation is not the one"):
            await reader.cancel_all(asked["confirm"])


async def test_a_read_only_server(trading_client: cp.Client) -> None:
    async with serve_status(trading_client) as status, StatusReader(status.url) as reader:
        with pytest.raises(cp.ConfigurationError, match="this server is read-only"):
            await reader.ask_to_cancel_all()


async def test_a_token_that_is_not_valid(trading_client: cp.Client) -> None:
    async with serve_status(trading_client) as status, StatusReader(f"{status.address}/?token=old") as reader:
        with pytest.raises(cp.ConfigurationError, match=r"the token is not valid at http://127\.0\.0\.1") as caught:
            await reader.read()
        assert "old" not in str(caught.value)


async def test_nobody_answers(unused_tcp_port: int) -> None:
    async with StatusReader(f"http://127.0.0.1:{unused_tcp_port}/?token=t") as reader:
        with pytest.raises(cp.ConnectError, match=f"cannot reach http://127.0.0.1:{unused_tcp_port}: "):
            await reader.read()


async def test_a_bot_that_is_busy() -> None:
    silent = asyncio.Event()

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with StatusReader(f"http://127.0.0.1:{port}/?token=t", timeout=0.05) as reader:
            with pytest.raises(cp.RequestTimeout, match=r"did not answer within 0\.05 s; is the bot busy\?"):
                await reader.read()
        silent.set()


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (http("404 Not Found", b"nothing"), cp.ConfigurationError, "answered 404 and not with the status of a bot"),
        (http("200 OK", b"<html>"), cp.DecodeError, "something other than JSON"),
        (http("200 OK", b"[]"), cp.DecodeError, "something other than JSON"),
        (http("200 OK", b'{"state": "live"}'), cp.DecodeError, "something other than the status of a bot"),
        (b"no http\r\n\r\n", cp.ConnectError, "cannot reach"),
    ],
)
async def test_something_else_answers(answer: bytes, error: type[Exception], message: str) -> None:
    async with answering(answer) as url, StatusReader(url) as reader:
        with pytest.raises(error, match=message):
            await reader.read()


@pytest.mark.parametrize("missing", ["reason", "states", "open_orders"])
async def test_a_status_without_what_the_screen_shows(missing: str) -> None:
    status = status_of()
    del status[missing]
    async with answering(http("200 OK", orjson.dumps(status))) as url, StatusReader(url) as reader:
        with pytest.raises(cp.DecodeError, match="something other than the status of a bot"):
            await reader.read()


async def test_a_refusal_without_words() -> None:
    async with answering(http("500 Oops", b"{}")) as url, StatusReader(url) as reader:
        with pytest.raises(cp.ConfigurationError, match="refused with 500"):
            await reader.ask_to_cancel_all()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:8500/", r"the address has no token: http://127\.0\.0\.1:8500/\?token=…"),
        ("http://127.0.0.1:8500/?token=", "the address has no token"),
        ("http://bots.example:8500/?token=secret", "use a tunnel: ssh -L 8500:127.0.0.1:8500 bots.example"),
        ("http://10.0.0.1/?token=secret", "ssh -L 8500:127.0.0.1:80 10.0.0.1"),
        ("ws://127.0.0.1:8500/?token=secret", "looks like http://127.0.0.1:8500/"),
        ("127.0.0.1:8500", "looks like http://127.0.0.1:8500/"),
        ("http://127.0.0.1:port/?token=secret", "is not valid"),
        ("http://[::1/?token=secret", "is not valid"),
    ],
)
def test_addresses_that_cannot_be_used(url: str, message: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=message) as caught:
        StatusReader(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://bots.example/?token=t", "http://localhost:1/?token=t", "http://[::1]:1?token=t"]
)
async def test_addresses_that_can_be_used(url: str) -> None:
    async with StatusReader(url) as reader:
        assert reader.address == url.partition("?")[0].rstrip("/")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(cp.ConfigurationError, match=r"cryptoproto top needs httpx: pip install 'cryptoproto\[top\]'"):
        importlib.reload(module)
    monkeypatch.undo()
    importlib.reload(module)
