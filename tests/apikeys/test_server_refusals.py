"""What the verifying side turns away, with which status and words; and what it lets through."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.authentication import requires
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, ClientLogin, Session
from cryptoproto.apikeys.diffie_hellman import to_base64
from cryptoproto.apikeys.server import (
    ApiKey,
    ApiKeysConfig,
    ApiKeysMiddleware,
    Gatekeeper,
    KeyStore,
    SessionSettings,
    SessionTable,
)

from .conftest import SMALL_GROUP, SMALL_LIMITS, Clock

AUTH = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")
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


# --- the basic flow -----------------------------------------------------------------------------------


async def test_signed_requests_pass_with_their_principal(basic_gatekeeper: Gatekeeper) -> None:
    async with _client(basic_gatekeeper) as http:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            response = await http.request(method, "/A/b?Q=1&q=%C3%BC", content=b"body", auth=AUTH)
            assert response.json() == {"user": "admin", "key": "TEST_API_KEY", "length": 4}


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({}, 401, "no credentials"),
        ({"X-Deltix-Signature": AUTH.headers("GET", "/a")["X-Deltix-Signature"]}, 401, "no credentials"),
        ({**AUTH.headers("GET", "/a"), "X-Deltix-ApiKey": "NOBODY"}, 401, "unknown API key"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY"}, 400, "X-Deltix-Signature is missing"),
        (AUTH.headers("GET", "/b"), 400, "signature is wrong"),
        (AUTH.headers("POST", "/a"), 400, "signature is wrong"),
        (AUTH.headers("GET", "/a?x=1"), 400, "signature is wrong"),
        (ApiKeyAuth("TEST_API_KEY", "guess").headers("GET", "/a"), 400, "signature is wrong"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY", "X-Deltix-Signature": "?"}, 400, "not base64"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY", "X-Deltix-Signature": "A" * 63 + "?"}, 400, "not base64"),
        ({"X-Deltix-ApiKey": "TEST_API_KEY", "X-Deltix-Signature": "A" * 65}, 400, "not base64"),
        ({"X-Deltix-Session-Id": "x", "X-Deltix-Nonce": "1", "X-Deltix-Signature": "A" * 64}, 401, "no credentials"),
    ],
)
async def test_basic_refusals(basic_gatekeeper: Gatekeeper, headers: dict[str, str], status: int, words: str) -> None:
    async with _client(basic_gatekeeper) as http:
        _is_refused(await http.get("/a", headers=headers), status, words)


async def test_a_public_key_is_no_secret_of_the_basic_flow(
    basic_gatekeeper: Gatekeeper, alice_key: cp.PrivateKey
) -> None:
    """Everyone may know it, so nobody may sign with it."""
    public = base64.b64encode(alice_key.public_key.to_der()).decode()
    forged = ApiKeyAuth("TEST_SESSION_API_KEY", public)
    async with _client(basic_gatekeeper) as http:
        _is_refused(await http.get("/a", auth=forged), 401, "unknown API key")


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


# --- bodies -------------------------------------------------------------------------------------------


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


# --- the session flow ---------------------------------------------------------------------------------


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


async def test_the_basic_flow_is_off_when_sessions_are_on(login: Login) -> None:
    _is_refused(await login.http.get("/a", auth=AUTH), 401, "no credentials: log in")


async def test_session_refusals(login: Login, session_gatekeeper: Gatekeeper) -> None:
    session = await login.session()
    good = session.headers("GET", "/a")
    for headers, words in [
        ({**good, "X-Deltix-Session-Id": "nobody"}, "unknown session"),
        ({**good, "X-Deltix-Nonce": "1"}, "signature is wrong"),
        ({**good, "X-Deltix-Nonce": "0"}, "whole number"),
        ({**good, "X-Deltix-Nonce": "-1"}, "whole number"),
        ({**good, "X-Deltix-Nonce": "1.5"}, "whole number"),
        ({**good, "X-Deltix-Nonce": "²"}, "whole number"),
        ({**good, "X-Deltix-Nonce": str(2**63)}, "whole number"),
        ({**good, "X-Deltix-Signature": "?"}, "not base64"),
        ({name: good[name] for name in good if name != "X-Deltix-Nonce"}, "X-Deltix-Nonce is missing"),
        ({name: good[name] for name in good if name != "X-Deltix-Signature"}, "X-Deltix-Signature is missing"),
    ]:
        sent = {name: value.encode() for name, value in headers.items()}
        _is_refused(await login.http.get("/a", headers=sent), 400, words)  # type: ignore[arg-type]
    # None of these used the nonce up.
    assert (await login.http.get("/a", headers=good)).status_code == 200
    _is_refused(await login.http.get("/a", headers=good), 400, "nonce is not above the last one")


async def test_a_forged_request_cannot_burn_a_nonce(login: Login) -> None:
    session = await login.session()
    good = session.headers("GET", "/a")
    forged = {**good, "X-Deltix-Nonce": str(2**63 - 1)}
    _is_refused(await login.http.get("/a", headers=forged), 400, "signature is wrong")
    assert (await login.http.get("/a", headers=good)).status_code == 200


async def test_a_session_ends_when_it_is_idle(login: Login, clock: Clock) -> None:
    session = await login.session()
    for _ in range(3):
        clock.now += 99
        response = await login.http.post(
            "/api/v1/login/keepalive", headers=session.headers("POST", "/api/v1/login/keepalive")
        )
        assert response.json() == {"keepalive_timeout": "100000"}
    clock.now += 100
    _is_refused(await login.http.get("/a", headers=session.headers("GET", "/a")), 400, "unknown session")


async def test_refused_requests_do_not_keep_a_session_alive(login: Login, clock: Clock) -> None:
    session = await login.session()
    clock.now += 99
    await login.http.get("/a", headers={**session.headers("GET", "/b")})
    clock.now += 1
    _is_refused(await login.http.get("/a", headers=session.headers("GET", "/a")), 400, "unknown session")


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


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"api_key_id": 5}', b"\xff", b'"x"'])
async def test_malformed_attempts(login: Login, body: bytes) -> None:
    _is_refused(await login.http.post("/api/v1/login/attempt", content=body), 400, "the request is")


async def test_an_oversized_login(login: Login) -> None:
    for call in ("attempt", "confirm"):
        response = await login.http.post(f"/api/v1/login/{call}", content=b"x" * 40_000)
        _is_refused(response, 413, "longer than 32768 bytes")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"session_id": "nobody"}, "unknown session"),
        ({"signature": "?"}, "signature is not base64"),
        ({"signature": ""}, "signature is wrong"),
        ({"signature": "AAAA"}, "signature is wrong"),
        ({"dh_key": "?"}, "dh_key is not base64"),
        ({"dh_key": ""}, "dh_key is empty"),
        ({"dh_key": to_base64(1)}, "outside 2 to p-2"),
        ({"dh_key": to_base64(SMALL_GROUP.modulus - 1)}, "outside 2 to p-2"),
        ({"dh_key": to_base64(SMALL_GROUP.modulus + 5)}, "outside 2 to p-2"),
        ({"dh_key": "A" * 1000}, "dh_key is longer"),
        ({"dh_key": None}, "malformed"),
    ],
)
async def test_confirmations_that_are_refused(login: Login, changes: dict[str, Any], words: str) -> None:
    _, answer = await login.attempt()
    _is_refused(await login.confirm({**answer, **changes}), 400, words)


async def test_a_challenge_is_answered_once(login: Login) -> None:
    _, answer = await login.attempt()
    _is_refused(await login.confirm({**answer, "signature": "AAAA"}), 400, "signature is wrong")
    _is_refused(await login.confirm(answer), 400, "unknown session")
    _, answer = await login.attempt()
    assert (await login.confirm(answer)).status_code == 200
    _is_refused(await login.confirm(answer), 400, "unknown session")


async def test_a_login_must_be_confirmed_in_time(login: Login, clock: Clock) -> None:
    _, answer = await login.attempt()
    clock.now += 10
    _is_refused(await login.confirm(answer), 400, "unknown session")


@pytest.mark.parametrize("name", ["NOBODY", "TEST_API_KEY"])
async def test_a_login_of_an_unknown_key_is_refused_at_once(
    name: str, login: Login, session_gatekeeper: Gatekeeper
) -> None:
    """One without a public key is unknown here, too; neither takes a place among the logins that are under way."""
    _is_refused(await login.http.post("/api/v1/login/attempt", json={"api_key_id": name}), 401, "unknown API key")
    assert session_gatekeeper.sessions.pending_count == 0


async def test_a_secret_that_anyone_could_guess_is_refused(
    keys: KeyStore, alice_key: cp.PrivateKey, clock: Clock
) -> None:
    sessions = SessionSettings(enabled=True, group=SMALL_GROUP, dh_secret_size=4096)
    order = SMALL_GROUP.modulus - 1
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, sessions), clock=clock, random_below=lambda below: order // 2 - 2)
    async with _client(gatekeeper) as http:
        login = Login(http, alice_key)
        _, answer = await login.attempt()
        _is_refused(await login.confirm(answer), 400, "anyone could guess")
    assert gatekeeper.sessions.session_count == 0


async def test_a_key_that_is_taken_away_takes_its_sessions_along(
    alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, clock: Clock
) -> None:
    def entry(key: cp.PrivateKey) -> ApiKey:
        return ApiKey.parse(
            "TEST_SESSION_API_KEY", base64.b64encode(key.public_key.to_der()).decode(), "u", ["TB_ALLOW_READ"]
        )

    present = {"TEST_SESSION_API_KEY": entry(alice_key)}
    store = KeyStore(lambda: dict(present))
    gatekeeper = Gatekeeper(ApiKeysConfig(store, SessionSettings(enabled=True, group=SMALL_GROUP)), clock=clock)
    async with _client(gatekeeper) as http:
        session = await Login(http, alice_key).session()
        store.reload()
        assert (await http.get("/a", headers=session.headers("GET", "/a"))).status_code == 200
        present["TEST_SESSION_API_KEY"] = entry(bob_key)
        store.reload()
        _is_refused(await http.get("/a", headers=session.headers("GET", "/a")), 400, "unknown session")
        _, answer = await Login(http, bob_key).attempt()
        present.clear()
        store.reload()
        _is_refused(await Login(http, bob_key).confirm(answer), 401, "unknown API key")


# --- bounds -------------------------------------------------------------------------------------------


def _table(clock: Callable[[], float], **bounds: Any) -> SessionTable:
    return SessionTable(SessionSettings(challenge_size=16), clock=clock, **bounds)


def test_logins_under_way_are_bounded_and_end(clock: Clock) -> None:
    table = _table(clock, max_pending=3)
    logins = [table.begin("k") for _ in range(5)]
    assert table.pending_count == 3
    assert [table.take_pending(login.session_id) is not None for login in logins] == [False, False, True, True, True]
    table.begin("k")
    clock.now += 10
    table.begin("k")
    assert table.pending_count == 1  # what had ended was cleared away


def test_sessions_of_one_key_are_bounded_and_end(clock: Clock) -> None:
    table = _table(clock, max_sessions_per_key=2)
    one, other = ApiKey.parse("one", "s", "u"), ApiKey.parse("other", "s", "u")
    table.establish("other", other, b"secret")
    for name in ("a", "b"):
        table.establish(name, one, b"secret")
    session = table.find("a")
    assert session is not None
    assert table.advance(session, 1)
    table.establish("c", one, b"secret")
    assert [table.find(name) is not None for name in ("a", "b", "c", "other")] == [True, False, True, True]
    clock.now += 100
    assert table.find("a") is None
    assert table.session_count == 0


def test_a_nonce_is_used_once(clock: Clock) -> None:
    table = _table(clock)
    table.establish("a", ApiKey.parse("one", "s", "u"), b"secret")
    session = table.find("a")
    assert session is not None
    assert [table.advance(session, nonce) for nonce in (5, 5, 4, 6)] == [True, False, False, True]
    table.end("a")
    assert not table.advance(session, 7)  # it has ended meanwhile


def test_nothing_secret_is_shown(clock: Clock, session_gatekeeper: Gatekeeper) -> None:
    table = _table(clock)
    table.establish("a", ApiKey.parse("one", "hunter2", "u"), b"hunter2")
    shown = repr(table.find("a")) + repr(table.begin("k")) + repr(session_gatekeeper)
    assert "hunter2" not in shown
    assert "challenge" not in shown


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
