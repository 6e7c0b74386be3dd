"""The ASGI middleware over HTTP: which requests pass, and how others are refused."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import cryptoproto as cp
from cryptoproto.apikeys import ClientLogin, Session
from cryptoproto.apikeys.diffie_hellman import to_base64
from cryptoproto.apikeys.server import (
    ApiKey,
    ApiKeysConfig,
    ApiKeysMiddleware,
    Gatekeeper,
    KeyStore,
)
from cryptoproto.apikeys.server.demonstration import running
from tests.support.apikeys.samples import AUTH, SMALL_GROUP, SMALL_LIMITS

REASONS = {400: "Bad Request", 401: "Unauthorized", 405: "Method Not Allowed"}


@requires("TB_ALLOW_READ")
async def _resource(request: Request) -> Response:
    body = await request.body()
    return JSONResponse({"user": request.user.user, "key": request.user.key_name, "length": len(body)})


APPLICATION = Starlette(routes=[Route("/{path:path}", _resource, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])])


def _client(gatekeeper: Gatekeeper, **options: Any) -> httpx.AsyncClient:
    app = ApiKeysMiddleware(APPLICATION, gatekeeper, **options)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


def _is_refused(response: httpx.Response, status: int, words: str) -> None:
    assert response.status_code == status, response.text
    refusal = response.json()
    assert set(refusal) == {"error", "error_description"}
    assert refusal["error"] == REASONS.get(status, refusal["error"])
    assert words in refusal["error_description"]
    assert response.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in response.headers) == (status == 401)


async def test_signed_requests_pass_with_their_principal(basic_gatekeeper: Gatekeeper) -> None:
    async with _client(basic_gatekeeper) as http:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            response = await http.request(method, "/A/b?Q=1&q=%C3%BC", content=b"body", auth=AUTH)
            assert response.json() == {"user": "admin", "key": "TEST_API_KEY", "length": 4}


async def test_a_tampered_body_is_refused(basic_gatekeeper: Gatekeeper) -> None:
    headers = AUTH.headers("POST", "/a", b"one")
    async with _client(basic_gatekeeper) as http:
        _is_refused(await http.post("/a", content=b"two", headers=headers), 400, "signature is wrong")


async def test_a_header_that_comes_twice_is_refused(basic_gatekeeper: Gatekeeper) -> None:
    twice = [*AUTH.headers("GET", "/a").items(), ("x-deltix-apikey", "TEST_API_KEY")]
    async with _client(basic_gatekeeper) as http:
        _is_refused(await http.get("/a", headers=twice), 400, "sent twice")


async def test_authorities_are_checked_by_the_application(basic_gatekeeper: Gatekeeper, keys: KeyStore) -> None:
    nobody = KeyStore.of(ApiKey.parse("TEST_API_KEY", "TEST_API_SECRET", "u"))
    async with _client(Gatekeeper(ApiKeysConfig(nobody))) as http:
        assert (await http.get("/a", auth=AUTH)).status_code == 403


async def test_forwarded_prefixes_are_a_setting_and_no_matter_of_trust(basic_gatekeeper: Gatekeeper) -> None:
    lie = {"X-Forwarded-Prefix": "/admin"}
    async with _client(basic_gatekeeper) as http:
        signed = {**AUTH.headers("GET", "/a"), **lie}
        assert (await http.get("/a", headers=signed)).status_code == 200
        signed = {**AUTH.headers("GET", "/admin/a"), **lie}
        _is_refused(await http.get("/a", headers=signed), 400, "signature is wrong")
    async with _client(basic_gatekeeper, path_prefix="/timebase") as http:
        assert (await http.get("/timebase/a", headers=AUTH.headers("GET", "/a"))).status_code == 200
        assert (await http.get("/a", headers=AUTH.headers("GET", "/a"))).status_code == 200
        assert (await http.get("/timebases/a", headers=AUTH.headers("GET", "/timebases/a"))).status_code == 200


async def test_public_paths_need_no_signature(basic_gatekeeper: Gatekeeper) -> None:
    application = Starlette(routes=[Route("/{path:path}", lambda request: Response("up"))])
    app = ApiKeysMiddleware(application, basic_gatekeeper, public_paths=["/health"])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        assert (await http.get("/health")).text == "up"
        _is_refused(await http.get("/health/more"), 401, "no credentials")


async def test_an_oversized_body_is_refused_before_it_is_hashed(basic_gatekeeper: Gatekeeper) -> None:
    async with _client(basic_gatekeeper, max_body=10) as http:
        assert (await http.post("/a", content=b"x" * 10, auth=AUTH)).status_code == 200
        _is_refused(await http.post("/a", content=b"x" * 11, auth=AUTH), 413, "longer than 10 bytes")


@pytest.mark.parametrize("declared", [True, False])
async def test_no_more_is_read_than_allowed(basic_gatekeeper: Gatekeeper, declared: bool) -> None:
    sent: list[Message] = []
    pieces = 0

    async def receive() -> Message:
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(name.lower().encode(), value.encode()) for name, value in AUTH.headers("POST", "/a").items()]
    if declared:
        headers.append((b"content-length", b"1000000"))
    scope = {"type": "http", "method": "POST", "path": "/a", "query_string": b"", "headers": headers}
    await ApiKeysMiddleware(APPLICATION, basic_gatekeeper, max_body=100)(scope, receive, send)
    assert sent[0]["status"] == 413
    assert pieces == (0 if declared else 11)


async def test_an_unknown_key_is_refused_before_the_body_is_read(basic_gatekeeper: Gatekeeper) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body was asked for")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/a", "query_string": b"", "headers": []}
    await ApiKeysMiddleware(APPLICATION, basic_gatekeeper)(scope, receive, send)
    assert sent[0]["status"] == 401


async def test_a_client_that_leaves_gets_no_answer(basic_gatekeeper: Gatekeeper) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there")

    headers = [(name.lower().encode(), value.encode()) for name, value in AUTH.headers("POST", "/a").items()]
    scope = {"type": "http", "method": "POST", "path": "/a", "query_string": b"", "headers": headers}
    await ApiKeysMiddleware(APPLICATION, basic_gatekeeper)(scope, receive, send)


class Login:
    """A login by hand, step by step, over HTTP."""

    def __init__(self, http: httpx.AsyncClient, key: cp.PrivateKey) -> None:
        self.http = http
        self.key = key

    async def attempt(self, name: str = "TEST_SESSION_API_KEY") -> tuple[ClientLogin, dict[str, str]]:
        response = await self.http.post("/api/v1/login/attempt", json={"api_key_id": name})
        assert response.status_code == 200
        login = ClientLogin(response.content, limits=SMALL_LIMITS)
        return login, json.loads(login.answer(self.key))

    async def confirm(self, answer: object) -> httpx.Response:
        return await self.http.post("/api/v1/login/confirm", json=answer)

    async def session(self) -> Session:
        login, answer = await self.attempt()
        response = await self.confirm(answer)
        assert response.status_code == 200, response.text
        return Session(login.finish(response.content))


@pytest.fixture
async def login(session_gatekeeper: Gatekeeper, alice_key: cp.PrivateKey) -> AsyncIterator[Login]:
    async with _client(session_gatekeeper) as http:
        yield Login(http, alice_key)


async def test_replies_have_the_fields_of_the_protocol(login: Login) -> None:
    attempt = (await login.http.post("/api/v0/attempt", json={"api_key_id": "TEST_SESSION_API_KEY"})).json()
    assert set(attempt) == {"session_id", "challenge", "dh_base", "dh_modulus", "ttl"}
    assert all(isinstance(value, str) for value in attempt.values())
    assert len(base64.b64decode(attempt["challenge"])) == 2048
    assert (attempt["dh_base"], attempt["ttl"]) == (to_base64(SMALL_GROUP.base), "10000")
    _, answer = await login.attempt()
    confirm = (await login.confirm(answer)).json()
    assert set(confirm) == {"dh_key", "keepalive_timeout"}
    assert confirm["keepalive_timeout"] == "100000"


async def test_keepalive_and_logout_are_signed(login: Login) -> None:
    session = await login.session()
    for call in ("keepalive", "logout"):
        _is_refused(await login.http.post(f"/api/v1/login/{call}"), 401, "no credentials")
        unsigned = {"X-Deltix-Session-Id": session.session_id, "X-Deltix-Nonce": "5"}
        _is_refused(await login.http.post(f"/api/v1/login/{call}", headers=unsigned), 400, "is missing")
    path = "/api/v1/login/logout"
    assert (await login.http.post(path, headers=session.headers("POST", path))).status_code == 200
    _is_refused(await login.http.post(path, headers=session.headers("POST", path)), 400, "unknown session")


@pytest.mark.parametrize("call", ["attempt", "confirm"])
async def test_login_calls_are_posts(login: Login, call: str) -> None:
    response = await login.http.get(f"/api/v1/login/{call}")
    _is_refused(response, 405, "POST")
    assert response.headers["allow"] == "POST"


async def test_an_oversized_login(login: Login) -> None:
    for call in ("attempt", "confirm"):
        response = await login.http.post(f"/api/v1/login/{call}", content=b"x" * 40_000)
        _is_refused(response, 413, "longer than 32768 bytes")


async def test_refusals_are_logged_without_secrets(
    basic_gatekeeper: Gatekeeper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with _client(basic_gatekeeper) as http:
        await http.post("/a%0AERROR", content=b"hunter2", headers={"X-Deltix-ApiKey": "hunter2"})
        await http.get("/a", headers=AUTH.headers("GET", "/b"))
    assert r"'/a\nERROR'" in caplog.text
    assert "hunter2" not in caplog.text
    assert AUTH.headers("GET", "/b")["X-Deltix-Signature"] not in caplog.text


async def test_other_websockets_are_signed_like_a_get(basic_gatekeeper: Gatekeeper) -> None:
    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.user.user)
        await socket.close()

    app = ApiKeysMiddleware(Starlette(routes=[WebSocketRoute("/ws", greet)]), basic_gatekeeper)
    async with running(app) as url:
        target = url.replace("http", "ws") + "/ws"
        async with connect(f"{target}?a=1", additional_headers=AUTH.headers("GET", "/ws?a=1")) as socket:
            assert await socket.recv() == "admin"
        with pytest.raises(InvalidStatus):
            await connect(target)
