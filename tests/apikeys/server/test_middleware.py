"""The ASGI middleware over HTTP: which requests pass, and how others are refused."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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

FORM = "application/x-www-form-urlencoded"
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


async def test_forwarded_prefixes_are_ignored(basic_gatekeeper: Gatekeeper) -> None:
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


async def test_the_access_log_names_the_key_of_a_login(login: Login, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cryptoproto.apikeys.access")
    await login.session()
    assert [line.split()[1] for line in _access_lines(caplog)] == ["-", "TEST_SESSION_API_KEY"]


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


async def test_other_websockets_are_signed_like_a_get(
    basic_gatekeeper: Gatekeeper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cryptoproto.apikeys.access")

    async def greet(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.user.user)
        await socket.close()

    app = ApiKeysMiddleware(Starlette(routes=[WebSocketRoute("/ws", greet)]), basic_gatekeeper)
    async with running(app) as url:
        target = url.replace("http", "ws") + "/ws"
        async with connect(f"{target}?a=1", additional_headers=AUTH.headers("GET", "/ws?a=1")) as socket:
            assert await socket.recv() == "admin"
        assert _access_lines(caplog) == ["127.0.0.1 TEST_API_KEY WebSocket '/ws'"]
        with pytest.raises(InvalidStatus):
            await connect(target)


# --- what is signed is what the application sees --------------------------------------------------------


async def _status(app: ApiKeysMiddleware, scope: dict[str, Any], body: bytes) -> int:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status: int = sent[0]["status"]
    return status


def _raw_headers(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


@pytest.mark.parametrize("method", ["post", "put"])
async def test_a_method_in_lower_case_does_not_leave_the_body_unsigned(
    basic_gatekeeper: Gatekeeper, method: str
) -> None:
    headers = _raw_headers(AUTH.headers(method, "/a", b""))
    scope = {"type": "http", "method": method, "path": "/a", "query_string": b"", "headers": headers}
    assert await _status(ApiKeysMiddleware(APPLICATION, basic_gatekeeper), scope, b"anything") == 400


async def _echo(request: Request) -> Response:
    return JSONResponse(
        {
            "query": request.url.query,
            "body": (await request.body()).decode(),
            "length": request.headers.get("content-length"),
        }
    )


ECHO = Starlette(routes=[Route("/{path:path}", _echo, methods=["GET", "POST"])])


@pytest.mark.parametrize(
    ("sent", "signed", "seen"),
    [
        ("/a;v=1/b", "/a/b", {"path": "/a/b", "raw": "/a/b"}),
        ("/a//b?c=1", "/a/b?c=1", {"path": "/a/b", "query": "c=1"}),
        ("/a%20b;x/c", "/a%20b/c", {"path": "/a b/c", "raw": "/a%20b/c"}),
        ("/a%3Bb", "/a%3Bb", {"path": "/a;b", "raw": "/a%3Bb"}),
        ("/a?b=%zz&c=1", "/a?c=1", {"query": "c=1"}),
        ("/A?b=%C3%BC", "/a?b=%C3%BC", {"path": "/A", "query": "b=%C3%BC"}),
    ],
)
async def test_the_application_sees_only_what_was_signed(
    basic_gatekeeper: Gatekeeper, sent: str, signed: str, seen: dict[str, str]
) -> None:
    path, _, query = sent.partition("?")
    for target in (sent, signed):  # both ends compute the same, whichever of the two is signed
        found: list[Any] = []

        async def look(scope: Any, receive: Any, send: Any, found: list[Any] = found) -> None:
            found.append(scope)
            await Response()(scope, receive, send)

        scope = {
            "type": "http",
            "method": "GET",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": _raw_headers(AUTH.headers("GET", target)),
        }
        assert await _status(ApiKeysMiddleware(look, basic_gatekeeper), scope, b"") == 200
        [scope] = found
        shown = {"path": scope["path"], "raw": scope["raw_path"].decode(), "query": scope["query_string"].decode()}
        assert shown.items() >= seen.items()


@pytest.mark.parametrize(
    ("raw_path", "path", "status"),
    [(b"/good", "/bad", 400), (b"/bad", "/good", 200), (None, "/good", 200), (None, "/good;x=1", 200)],
)
async def test_a_path_that_another_middleware_changed(
    basic_gatekeeper: Gatekeeper, raw_path: bytes | None, path: str, status: int
) -> None:
    """The application reads ``path``, so that is what counts, whatever ``raw_path`` says."""
    headers = _raw_headers(AUTH.headers("GET", "/good"))
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    if raw_path is not None:
        scope["raw_path"] = raw_path
    assert await _status(ApiKeysMiddleware(APPLICATION, basic_gatekeeper), scope, b"") == status


async def test_forms_are_signed_as_parameters(basic_gatekeeper: Gatekeeper) -> None:
    app = ApiKeysMiddleware(ECHO, basic_gatekeeper)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway", auth=AUTH) as http:
        response = await http.post("/a?c=3", content=b"b=x+y&a=%C3%BC", headers={"Content-Type": FORM})
        assert response.json() == {"query": "c=3", "body": "b=x+y&a=%C3%BC", "length": "14"}
        response = await http.post("/a", content=b"b=1&a=%zz", headers={"Content-Type": FORM})
        assert response.json() == {
            "query": "",
            "body": "b=1",
            "length": "3",
        }  # what is not signed does not reach the application
        _is_refused(
            await http.post("/a?b=2", content=b"b=1", headers={"Content-Type": FORM}),
            400,
            "parameter b is given more than once",
        )


async def test_repeated_parameters_are_refused(basic_gatekeeper: Gatekeeper, keys: KeyStore) -> None:
    async with _client(basic_gatekeeper) as http:
        _is_refused(await http.get("/a?b=1&b=2", auth=AUTH), 400, "parameter b is given more than once")
    async with _client(Gatekeeper(ApiKeysConfig(keys), allow_repeated_parameters=True)) as http:
        assert (await http.get("/a?b=1&b=2", auth=AUTH)).status_code == 200


# --- bodies that stall ----------------------------------------------------------------------------------


class _Stalled:
    """The ``receive`` of a client that sends 9 MB and then nothing."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self._left = 9_000_000
        self._chunk = bytes(65_536)

    async def receive(self) -> Message:
        if self._left <= 0:
            self.done.set()
            await asyncio.Event().wait()
        self._left -= len(self._chunk)
        await asyncio.sleep(0)
        return {"type": "http.request", "body": self._chunk, "more_body": True}

    async def send(self, message: Message) -> None:
        assert message.get("status", 503) == 503
        self.done.set()


async def test_stalled_bodies_do_not_fill_the_memory(basic_gatekeeper: Gatekeeper) -> None:
    """Sixty clients that know only the name of a key."""
    app = ApiKeysMiddleware(APPLICATION, basic_gatekeeper)
    headers = _raw_headers(AUTH.headers("POST", "/a"))
    scope = {"type": "http", "method": "POST", "path": "/a", "query_string": b"", "headers": headers}
    clients = [_Stalled() for _ in range(60)]
    tasks = [asyncio.create_task(app(scope, client.receive, client.send)) for client in clients]
    for client in clients:
        await client.done.wait()
    assert 0 < app.held_bytes <= 64 * 1024 * 1024
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        assert (await http.post("/a", content=b"short", auth=AUTH)).status_code == 200
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert app.held_bytes == 0


async def _never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("path", ["/a", "/api/v1/login/attempt"])
async def test_a_stalled_body_is_answered_with_408(session_gatekeeper: Gatekeeper, keys: KeyStore, path: str) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    gatekeeper = session_gatekeeper if "login" in path else Gatekeeper(ApiKeysConfig(keys))
    headers = _raw_headers(AUTH.headers("POST", "/a"))
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await ApiKeysMiddleware(APPLICATION, gatekeeper, body_timeout=0)(scope, _never, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_a_client_that_leaves_during_a_login(session_gatekeeper: Gatekeeper) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        raise AssertionError("nobody is there")

    scope = {"type": "http", "method": "POST", "path": "/api/v0/attempt", "query_string": b"", "headers": []}
    await ApiKeysMiddleware(APPLICATION, session_gatekeeper)(scope, receive, send)


# --- the access log -------------------------------------------------------------------------------------


def _access_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "cryptoproto.apikeys.access"]


async def test_the_access_log(basic_gatekeeper: Gatekeeper, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cryptoproto.apikeys.access")
    times = iter([1.0, 1.25, 2.0, 2.5])
    async with _client(basic_gatekeeper, clock=lambda: next(times)) as http:
        await http.get("/a?secret=1", auth=AUTH)
        await http.get("/b%0A", headers={"X-Deltix-ApiKey": "NOBODY"})
    assert _access_lines(caplog) == [
        "127.0.0.1 TEST_API_KEY GET '/a' 200 in 250.0 ms",
        r"127.0.0.1 - GET '/b\n' 401 in 500.0 ms",
    ]


async def test_the_access_log_names_only_keys_that_have_signed(
    basic_gatekeeper: Gatekeeper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    headers = AUTH.headers("GET", "/a")
    signature = headers["X-Deltix-Signature"]
    async with _client(basic_gatekeeper) as http:
        await http.get("/b", headers=headers)  # another path than the one that was signed
        await http.get("/a", headers=headers)
    assert [line.split()[1] for line in _access_lines(caplog)] == ["-", "TEST_API_KEY"]
    assert signature not in caplog.text


async def test_the_access_log_of_a_request_without_an_answer(
    basic_gatekeeper: Gatekeeper, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError

    caplog.set_level(logging.INFO, "cryptoproto.apikeys.access")
    app = ApiKeysMiddleware(broken, basic_gatekeeper)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        with pytest.raises(LookupError):
            await http.get("/a", auth=AUTH)
    [line] = _access_lines(caplog)
    assert "GET '/a' - in" in line


async def test_a_configuration_by_path_and_a_lifespan(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"apiKeys": [{"name": "a", "key": "b"}]}')
    seen: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def send(message: Message) -> None:
        raise AssertionError

    app = ApiKeysMiddleware(inner, path)
    assert repr(app.gatekeeper.config.keys) == "<KeyStore 1 keys>"
    await app({"type": "lifespan"}, _never, send)
    assert seen == ["lifespan"]
