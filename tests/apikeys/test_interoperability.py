"""Our ends against independent ones, written from the protocol's document, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, SessionAuth
from cryptoproto.apikeys.server import ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings
from cryptoproto.apikeys.server.demonstration import demonstration_app, running
from tests.support.apikeys.samples import base64_of
from tests.support.apikeys.seed_client import FORM, RsaNumbers, SeedClient, signature
from tests.support.apikeys.seed_server import SeedServer, seed_server


def _numbers(key: cp.PrivateKey) -> rsa.RSAPrivateNumbers:
    loaded = serialization.load_pem_private_key(key.to_pem(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    return loaded.private_numbers()


def _client(url: str) -> SeedClient:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return SeedClient(parts.hostname, parts.port)


async def test_a_foreign_basic_client_is_accepted(basic_gatekeeper: Gatekeeper) -> None:
    def others(client: SeedClient) -> list[int]:
        return [
            client.basic("TEST_API_KEY", secret, method, target, body)[0]
            for secret, method, target, body in [
                ("TEST_API_SECRET", "GET", "/api/v0/streams", b""),
                ("TEST_API_SECRET", "GET", "/api/v0/streams?b=x+y&A=%C3%BC&c", b""),
                ("TEST_API_SECRET", "POST", "/api/v0/streams", '{"key": "ü"}'.encode()),
                ("TEST_API_SECRET", "POST", "/api/v0/bars1min/goog/select", b'{"from":null}'),
                ("guess", "GET", "/api/v0/streams", b""),
            ]
        ]

    async with running(demonstration_app(basic_gatekeeper)) as url:
        assert await asyncio.to_thread(others, _client(url)) == [200, 200, 201, 200, 400]


@pytest.mark.parametrize("unsigned_numbers", [False, True])
@pytest.mark.parametrize("root", ["/api/v1/login", "/api/v0", "/session/login"])
async def test_a_foreign_session_client_is_accepted(
    keys: KeyStore, alice_key: cp.PrivateKey, root: str, unsigned_numbers: bool
) -> None:
    numbers = _numbers(alice_key)

    def others(client: SeedClient) -> list[int]:
        private_key = RsaNumbers(numbers.public_numbers.n, numbers.d)
        client.login(root, "TEST_SESSION_API_KEY", private_key, unsigned_numbers=unsigned_numbers)
        statuses = [
            client.signed(method, target, body)[0]
            for method, target, body in [
                ("GET", "/api/v0/streams?b=2&A=1", b""),
                ("POST", "/api/v0/streams", b'{"key": "x"}'),
                ("POST", f"{root}/keepalive", b""),
            ]
        ]
        client._nonce -= 1
        statuses.append(client.signed("GET", "/api/v0/streams")[0])  # a stale nonce
        statuses.append(client.signed("POST", f"{root}/logout")[0])
        statuses.append(client.signed("GET", "/api/v0/streams")[0])
        return statuses

    gatekeeper = Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=True)))
    async with running(demonstration_app(gatekeeper)) as url:
        assert await asyncio.to_thread(others, _client(url)) == [200, 201, 200, 400, 200, 400]


async def test_our_client_is_accepted_by_a_foreign_gateway(alice_key: cp.PrivateKey) -> None:
    gateway = SeedServer({"TEST_API_KEY": "TEST_API_SECRET"}, _numbers(alice_key).public_numbers.n)
    target = "/Api/v0/streams"
    parameters = {"b": "x y", "A": "ü&=", "c": ""}
    with seed_server(gateway) as url:
        basic = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")
        session = await SessionAuth.login(url, "TEST_SESSION_API_KEY", base64_of(alice_key.to_der()))
        for auth in (basic, session):
            async with httpx.AsyncClient(auth=auth, base_url=url) as http:
                for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
                    response = await http.request(method, target, params=parameters, content="bödy".encode())
                    assert (response.status_code, response.json()["method"]) == (200, method)
        async with httpx.AsyncClient(auth=session, base_url=url) as http:
            responses = await asyncio.gather(*(http.get(f"/{number}") for number in range(50)))
            assert {response.status_code for response in responses} == {200}
            gateway.sessions.clear()
            assert (await http.post("/again", content=b"x")).status_code == 200
            assert len(gateway.sessions) == 1
        await session.logout()
        assert not gateway.sessions


async def test_forms_of_our_client_are_accepted_by_a_foreign_gateway(alice_key: cp.PrivateKey) -> None:
    gateway = SeedServer({"TEST_API_KEY": "TEST_API_SECRET"}, _numbers(alice_key).public_numbers.n)
    with seed_server(gateway) as url:
        basic = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")
        async with await SessionAuth.login(url, "TEST_SESSION_API_KEY", alice_key) as session:
            for auth in (basic, session):
                async with httpx.AsyncClient(auth=auth, base_url=url) as http:
                    for method in ("POST", "PUT"):
                        response = await http.request(method, "/a?c=3", data={"b": "x y", "A": "ü&="})
                        assert (response.status_code, response.json()["method"]) == (200, method)


async def test_a_foreign_form_is_accepted(basic_gatekeeper: Gatekeeper) -> None:
    def others(client: SeedClient) -> int:
        form = b"b=x+y&A=%C3%BC%26%3D"
        signed = signature(b"POST/api/v0/bars1min/goog/selecta=\xc3\xbc&=&b=x y&c=3", b"TEST_API_SECRET")
        headers = {"X-Deltix-ApiKey": "TEST_API_KEY", "X-Deltix-Signature": signed, "Content-Type": FORM}
        return client.call("POST", "/api/v0/bars1min/goog/select?c=3", form, headers)[0]

    async with running(demonstration_app(basic_gatekeeper)) as url:
        assert await asyncio.to_thread(others, _client(url)) == 200


async def test_our_client_is_refused_by_a_foreign_gateway(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey) -> None:
    gateway = SeedServer({}, _numbers(alice_key).public_numbers.n)
    with seed_server(gateway) as url, pytest.raises(cp.LoginRefused, match="wrong signature"):
        await SessionAuth.login(url, "TEST_SESSION_API_KEY", bob_key)


async def _node(script: str, *arguments: str, key: cp.PrivateKey) -> Any:
    """What a script in Node.js prints; the private key is its standard input."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    process = await asyncio.create_subprocess_exec(
        node,
        str(Path(__file__).parents[1] / "support" / "apikeys" / script),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(base64_of(key.to_der()).encode())
    if b"Cannot find module 'ws'" in err:
        pytest.skip("the package ws for Node.js is not installed: npm install --no-save ws")
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_a_client_in_node_js_is_accepted(keys: KeyStore, alice_key: cp.PrivateKey) -> None:
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=True)))
    async with running(demonstration_app(gatekeeper)) as url:
        assert await _node("seed_client.js", url, "/api/v1/login", key=alice_key) == [200, 201]


@pytest.mark.parametrize("flow", ["basic", "session"])
async def test_a_client_in_node_js_with_websockets_is_accepted(
    keys: KeyStore, alice_key: cp.PrivateKey, flow: str
) -> None:
    """REST, the WebSocket of a stream, and STOMP, with the library that the gateway's samples use."""
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=flow == "session")))
    async with running(demonstration_app(gatekeeper)) as url:
        received = await _node("seed_websocket.js", url, flow, key=alice_key)
    assert received["streams"] == 200
    ((first, *_),) = received["bars"]
    assert first["symbol"] == "BTC/USD"
    connected, command, body = received["stomp"]
    assert (connected, command) == ("CONNECTED", "MESSAGE")
    assert json.loads(body)["key"] == f"from-node-{flow}"
