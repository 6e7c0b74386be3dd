"""The demonstration API over HTTP, WebSocket, STOMP and TLS."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, StompConnection
from cryptoproto.apikeys.server import Gatekeeper
from cryptoproto.apikeys.server.demonstration import demonstration_app, running
from tests.support.apikeys.samples import AUTH
from tests.support.certificates import self_signed

READER = ApiKeyAuth("READ_ONLY", "READ_ONLY_SECRET")


async def test_streams_are_listed_added_and_announced(basic_gatekeeper: Gatekeeper) -> None:
    async with running(demonstration_app(basic_gatekeeper)) as url:
        socket = url.replace("http", "ws") + "/stomp/v0"
        async with (
            StompConnection.connect(socket, auth=AUTH) as stomp,
            httpx.AsyncClient(auth=AUTH, base_url=url) as http,
        ):
            subscription = await stomp.subscribe("/topic/streams", receipt=True)
            assert (await http.post("/api/v0/streams", json={"key": "ticks"})).status_code == 201
            assert (await anext(subscription)).json() == {"key": "ticks", "description": ""}
            assert "ticks" in {stream["key"] for stream in (await http.get("/api/v0/streams")).json()}
            for wrong in ({}, {"key": ""}, {"key": "k" * 257}, {"key": "k", "description": "d" * 4097}):
                assert (await http.post("/api/v0/streams", json=wrong)).status_code == 422
            assert (await http.post("/api/v0/ticks/x/select")).json()[0]["symbol"] == "BTC/USD"
            assert (await http.post("/api/v0/none/x/select")).status_code == 404


async def test_readers_cannot_add(basic_gatekeeper: Gatekeeper) -> None:
    async with running(demonstration_app(basic_gatekeeper)) as url:
        async with httpx.AsyncClient(auth=READER, base_url=url) as http:
            assert (await http.get("/api/v0/streams")).status_code == 200
            refused = await http.post("/api/v0/streams", json={"key": "x"})
            assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
        async with StompConnection.connect(url.replace("http", "ws") + "/stomp/v0", auth=READER) as stomp:
            await stomp.subscribe("/topic/streams", receipt=True)
            with pytest.raises(cp.StompError, match="may not send"):
                await stomp.send("/topic/streams", "x", receipt=True)


async def test_streams_have_a_limit(basic_gatekeeper: Gatekeeper) -> None:
    transport = httpx.ASGITransport(demonstration_app(basic_gatekeeper))
    async with httpx.AsyncClient(auth=AUTH, base_url="http://gateway", transport=transport) as http:
        statuses = [(await http.post("/api/v0/streams", json={"key": f"s{n}"})).status_code for n in range(999)]
        assert statuses == [201] * 998 + [409]
        assert (await http.post("/api/v0/streams", json={"key": "s0"})).status_code == 201


async def test_the_websocket_of_a_stream(basic_gatekeeper: Gatekeeper) -> None:
    """As the gateway's own sample does it: the path is signed in lower case."""
    async with running(demonstration_app(basic_gatekeeper)) as url:
        place = url.replace("http", "ws")
        headers = AUTH.headers("GET", "/ws/v0/binance/select")
        async with connect(f"{place}/ws/v0/BINANCE/select", additional_headers=headers) as socket:
            assert [bar["close"] for bar in json.loads(await socket.recv())] == [101.0, 102.0, 103.0]
            with pytest.raises(ConnectionClosedOK):
                await socket.recv()
        headers = AUTH.headers("GET", "/ws/v0/bars1min/select?live=true")
        async with connect(f"{place}/ws/v0/bars1min/select?live=true", additional_headers=headers) as socket:
            await socket.recv()
            await socket.send("ignored")
            await (await socket.ping())
        for target, signed in (("none", "none"), ("BINANCE", "bars1min")):
            headers = AUTH.headers("GET", f"/ws/v0/{signed}/select")
            with pytest.raises(InvalidStatus):
                await connect(f"{place}/ws/v0/{target}/select", additional_headers=headers)


async def test_tls(basic_gatekeeper: Gatekeeper, tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path)
    async with running(demonstration_app(basic_gatekeeper), tls_cert=tmp_path / "exchange.pem") as url:
        assert url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=certificate)
        async with httpx.AsyncClient(auth=AUTH, base_url=url, verify=context) as http:
            assert (await http.get("/api/v0/streams")).status_code == 200
        async with StompConnection.connect(url.replace("https", "wss") + "/stomp/v0", auth=AUTH, ssl=context) as stomp:
            assert stomp.version == "1.2"


async def test_it_ends_while_a_client_has_not_finished_closing(basic_gatekeeper: Gatekeeper, tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=certificate)

    def close_but_keep_the_socket(port: int) -> ssl.SSLSocket:
        link = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
        key = base64.b64encode(bytes(16)).decode()
        link.sendall(
            b"GET /stomp/v0 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % key.encode()
        )
        assert link.recv(4096).startswith(b"HTTP/1.1 101")
        link.sendall(b"\x88\x82" + bytes(4) + (1000).to_bytes(2))
        assert link.recv(4096).startswith(b"\x88")
        return link

    async with running(demonstration_app(basic_gatekeeper), tls_cert=tmp_path / "exchange.pem") as url:
        link = await asyncio.to_thread(close_but_keep_the_socket, int(url.rpartition(":")[2]))
    link.close()


async def test_certificates_that_cannot_be_used(basic_gatekeeper: Gatekeeper, tmp_path: Path) -> None:
    certificate, _ = self_signed(tmp_path)
    for path, words in ((certificate, "matching private key; give the key with --tls-key"), ("none", "cannot be read")):
        with pytest.raises(cp.ConfigurationError, match=words):
            async with running(demonstration_app(basic_gatekeeper), tls_cert=path):
                pass


async def test_a_server_that_fails_says_why(basic_gatekeeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no loop")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_server", broken)
    with pytest.raises(RuntimeError, match="no loop"):
        async with running(demonstration_app(basic_gatekeeper)):
            pass
