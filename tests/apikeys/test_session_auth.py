"""``SessionAuth`` against our gateway in memory, and against one that misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import cryptoproto as cp
from cryptoproto.apikeys import ClientLogin, GroupLimits, SessionAuth
from cryptoproto.apikeys.server import ApiKeysMiddleware, Gatekeeper
from tests.support.apikeys.clocks import Clock, Sleeper
from tests.support.apikeys.samples import SMALL_LIMITS, base64_of

BASE = "http://gateway"


class Gateway:
    """Our middleware in front of a resource that records requests, without a socket."""

    def __init__(self, gatekeeper: Gatekeeper, key: cp.PrivateKey, clock: Clock, sleeper: Sleeper) -> None:
        self.gatekeeper = gatekeeper
        self.key = key
        self.clock = clock
        self.sleeper = sleeper
        self.processed: list[str] = []
        self.seen: list[httpx.Request] = []
        self.before: Callable[[httpx.Request], httpx.Response | None] = lambda request: None
        application = Starlette(routes=[Route("/{path:path}", self._resource, methods=["GET", "POST", "PUT"])])
        self._inner = httpx.ASGITransport(ApiKeysMiddleware(application, gatekeeper))

    async def _resource(self, request: Request) -> Response:
        self.processed.append(f"{request.method} {request.url.path}")
        if request.url.path == "/bad":
            return JSONResponse({"error": "Bad Request", "error_description": "no such column"}, 400)
        return JSONResponse({"user": request.user.display_name})

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(httpx.Request(request.method, request.url, headers=request.headers))  # as it was then
        answer = self.before(request)
        return await self._inner.handle_async_request(request) if answer is None else answer

    def http(self, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle), auth=auth, base_url=BASE)

    @contextlib.asynccontextmanager
    async def login(self, **options: Any) -> AsyncIterator[SessionAuth]:
        async with self.http() as http:
            auth = await SessionAuth.login(
                options.pop("base", BASE),
                options.pop("name", "TEST_SESSION_API_KEY"),
                options.pop("key", self.key),
                http=http,
                limits=options.pop("limits", SMALL_LIMITS),
                clock=self.clock,
                sleep=self.sleeper,
                **options,
            )
            try:
                yield auth
            finally:
                await auth.close()

    def calls(self, name: str) -> int:
        return sum(request.url.path.endswith(f"/{name}") for request in self.seen)

    def forget_session(self, auth: SessionAuth) -> None:
        self.gatekeeper.sessions.end(auth.session.session_id)


@pytest.fixture
def gateway(session_gatekeeper: Gatekeeper, alice_key: cp.PrivateKey, clock: Clock, sleeper: Sleeper) -> Gateway:
    return Gateway(session_gatekeeper, alice_key, clock, sleeper)


async def test_login_and_requests(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        for method in ("GET", "POST", "PUT"):
            response = await http.request(method, "/a/B", params={"b": "1", "A": "x y"}, content=b"body")
            assert response.json() == {"user": "admin"}


@pytest.mark.parametrize("root", ["/api/v1/login", "/api/v0", "/session/login", "session/login/"])
async def test_every_login_root_in_use(gateway: Gateway, root: str) -> None:
    async with gateway.login(root=root) as auth, gateway.http(auth) as http:
        assert (await http.get("/a")).status_code == 200


async def test_a_key_in_base64(gateway: Gateway, alice_key: cp.PrivateKey) -> None:
    async with gateway.login(key=base64_of(alice_key.to_der())) as auth, gateway.http(auth) as http:
        assert (await http.get("/a")).status_code == 200


async def test_headers_for_any_http_library(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http() as http:
        for body in (b"", b"{}"):
            headers = auth.headers("POST", f"{BASE}/a?b=1", body)
            assert set(headers) == {"X-Deltix-Session-Id", "X-Deltix-Nonce", "X-Deltix-Signature"}
            assert (await http.post("/a?b=1", content=body, headers=headers)).status_code == 200
        again = await http.post("/a?b=1", content=body, headers=headers)
        assert (again.status_code, again.json()["error"]) == (400, "Bad Request")


async def test_many_requests_at_once_never_disorder_their_nonces(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        responses = await asyncio.gather(*(http.get(f"/{number}") for number in range(200)))
    assert {response.status_code for response in responses} == {200}
    nonces = [int(request.headers["X-Deltix-Nonce"]) for request in gateway.seen if "X-Deltix-Nonce" in request.headers]
    assert nonces == sorted(set(nonces))


async def test_a_lost_session_is_logged_in_again_once(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        first = auth.session
        gateway.forget_session(auth)
        responses = await asyncio.gather(*(http.post(f"/{number}", content=b"x") for number in range(20)))
        assert {response.status_code for response in responses} == {200}
        assert auth.session is not first
    assert gateway.calls("attempt") == 2
    assert sorted(gateway.processed) == sorted(f"POST /{number}" for number in range(20))


@pytest.mark.parametrize("keepalive", [400, 404])
async def test_a_request_is_repeated_once_at_the_most(gateway: Gateway, keepalive: int) -> None:
    """Even if the gateway has no keep-alive call, so that only its text shows that the session is lost."""
    gone = httpx.Response(400, json={"error": "Bad Request", "error_description": "Session not found: abc"})

    def refuse(request: httpx.Request) -> httpx.Response | None:
        if request.url.path.endswith("keepalive"):
            return httpx.Response(keepalive)
        return gone if request.url.path == "/a" else None

    async with gateway.login() as auth, gateway.http(auth) as http:
        gateway.before = refuse
        assert (await http.post("/a")).status_code == 400
    nonces = [int(request.headers["X-Deltix-Nonce"]) for request in gateway.seen if request.url.path == "/a"]
    assert len(nonces) == 2
    assert nonces[0] < nonces[1]


async def test_a_refusal_of_the_application_that_names_a_session_causes_no_login(gateway: Gateway) -> None:
    own = httpx.Response(400, json={"error": "Bad Request", "error_description": "trading session not found"})
    gateway.before = lambda request: own if request.url.path == "/a" else None
    async with gateway.login() as auth, gateway.http(auth) as http:
        for method in ("GET", "POST"):
            assert (await http.request(method, "/a")).status_code == 400
    assert [request.url.path for request in gateway.seen].count("/a") == 2
    assert gateway.calls("attempt") == 1


async def test_an_answer_of_the_application_is_left_alone(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        for method in ("GET", "POST"):
            response = await http.request(method, "/bad")
            assert (response.status_code, response.json()["error_description"]) == (400, "no such column")
    assert gateway.processed == ["GET /bad", "POST /bad"]
    assert gateway.calls("attempt") == 1


async def test_after_an_ambiguous_refusal_only_idempotent_requests_are_repeated(gateway: Gateway) -> None:
    """The session is lost, but the refusal has an unknown text: a POST may have been processed."""
    unclear = httpx.Response(400, json={"error": "Bad Request", "error_description": "nope"})
    async with gateway.login() as auth, gateway.http(auth) as http:
        for method, expected in (("POST", 400), ("GET", 200)):
            answers = [unclear]
            gateway.before = lambda request, answers=answers: (  # type: ignore[misc]
                answers.pop() if request.url.path == "/a" and answers else None
            )
            gateway.forget_session(auth)
            assert (await http.request(method, "/a")).status_code == expected
    assert gateway.processed == ["GET /a"]


async def test_nothing_is_repeated_after_a_network_error(gateway: Gateway) -> None:
    def cut(request: httpx.Request) -> None:
        if request.url.path == "/a":
            raise httpx.ReadError("cut")

    async with gateway.login() as auth, gateway.http(auth) as http:
        gateway.before = cut
        for method in ("GET", "POST"):
            with pytest.raises(httpx.ReadError):
                await http.request(method, "/a")
        assert [request.url.path for request in gateway.seen].count("/a") == 2
        gateway.before = lambda request: None
        assert (await http.get("/b")).status_code == 200  # the turn was given back


async def test_cancelling_a_request_lets_the_next_one_through(gateway: Gateway) -> None:
    entered, never = asyncio.Event(), asyncio.Event()

    async def stall(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/slow":
            entered.set()
            await never.wait()
        return await gateway._handle(request)

    async with (
        gateway.login() as auth,
        httpx.AsyncClient(transport=httpx.MockTransport(stall), auth=auth, base_url=BASE) as http,
    ):
        slow = asyncio.create_task(http.get("/slow"))
        await entered.wait()
        quick = asyncio.create_task(http.get("/quick"))
        slow.cancel()
        assert (await quick).status_code == 200


async def test_keep_alives_are_sent_in_time(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        first = auth.session
        for _ in range(5):
            assert await gateway.sleeper.pass_one() == pytest.approx(100 / 3)
        assert gateway.calls("keepalive") >= 4
        assert (await http.get("/a")).status_code == 200
        assert auth.session is first


async def test_requests_make_keep_alives_unnecessary(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        _, waiting = await gateway.sleeper.asleep.get()
        gateway.clock.now += 20
        await http.get("/a")
        gateway.clock.now += 15
        waiting.set_result(None)
        seconds, _ = await gateway.sleeper.asleep.get()
        assert seconds == pytest.approx(100 / 3 - 15)
    assert gateway.calls("keepalive") == 0


async def test_a_keep_alive_logs_in_again_and_survives_errors(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway.login() as auth:
        first = auth.session

        def cut(request: httpx.Request) -> None:
            raise httpx.ConnectError("no route")

        gateway.before = cut
        await gateway.sleeper.pass_one()
        assert await gateway.sleeper.pass_one() == pytest.approx(10)  # after the failure: a tenth of the time
        assert "keep-alive failed, trying again: no route" in caplog.text
        gateway.before = lambda request: None
        gateway.forget_session(auth)
        await gateway.sleeper.asleep.get()
        assert auth.session is not first


async def test_logout_ends_the_session_at_the_gateway(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        session = auth.session
        await auth.logout()
        assert gateway.gatekeeper.sessions.session_count == 0
        with pytest.raises(cp.RequestNotSent, match="was closed"):
            await http.get("/a")
        with pytest.raises(cp.RequestNotSent, match="was closed"):
            auth.stomp_headers()
        await auth.logout()
        assert (await http.get("/a", headers=session.headers("GET", "/a"), auth=None)).status_code == 400
    assert gateway.calls("logout") == 1


async def test_leaving_the_context_logs_out(gateway: Gateway) -> None:
    async with gateway.login() as auth, auth:
        assert gateway.gatekeeper.sessions.session_count == 1
    assert gateway.gatekeeper.sessions.session_count == 0


async def test_a_logout_that_does_not_arrive_is_only_logged(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    def cut(request: httpx.Request) -> None:
        raise httpx.ConnectError("no route")

    async with gateway.login() as auth, auth:
        gateway.before = cut
    assert "the logout failed: no route" in caplog.text


async def test_the_wrong_key_and_an_unknown_name(gateway: Gateway, bob_key: cp.PrivateKey) -> None:
    refusals: list[tuple[dict[str, Any], int, str]] = [
        ({"key": bob_key}, 400, r"\(the signature is wrong\); does the private key belong"),
        ({"name": "NOBODY"}, 401, r"\(unknown API key\); .*are the name of the key and the login root right"),
    ]
    for options, status, words in refusals:
        with pytest.raises(cp.LoginRefused, match=f"status {status} {words}") as caught:
            async with gateway.login(**options):
                pass
        assert caught.value.status == status
        assert isinstance(caught.value, cp.HandshakeError)


@pytest.mark.parametrize(("status", "hint"), [(404, "login root"), (401, "sessions enabled"), (503, "the operator")])
async def test_refusals_say_what_to_try(gateway: Gateway, status: int, hint: str) -> None:
    gateway.before = lambda request: httpx.Response(status, text="<html>")
    with pytest.raises(cp.LoginRefused, match=hint):
        async with gateway.login():
            pass


async def test_a_gateway_with_a_weak_group_is_refused(gateway: Gateway) -> None:
    with pytest.raises(cp.LoginRefused, match="128 bits is too weak"):
        async with gateway.login(limits=GroupLimits()):
            pass


async def test_a_gateway_that_sends_a_bad_public_value_is_refused(gateway: Gateway) -> None:
    gateway.before = lambda request: (
        httpx.Response(200, json={"dh_key": "AQ==", "keepalive_timeout": 1000})
        if request.url.path.endswith("confirm")
        else None
    )
    with pytest.raises(cp.LoginRefused, match="outside 2 to p-2"):
        async with gateway.login():
            pass


async def test_the_arithmetic_runs_off_the_event_loop(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()

    def watch(method: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            threads.add(threading.current_thread().name)
            return method(*arguments)

        return wrapped

    monkeypatch.setattr(ClientLogin, "answer", watch(ClientLogin.answer))
    monkeypatch.setattr(ClientLogin, "finish", watch(ClientLogin.finish))
    monkeypatch.setattr(Gatekeeper, "exchange", watch(Gatekeeper.exchange))
    async with gateway.login():
        pass
    assert threads
    assert "MainThread" not in threads


async def test_a_base_url_with_a_path_is_a_proxys_prefix(gateway: Gateway) -> None:
    """The proxy removes the prefix, so signatures do not cover it."""
    inner = gateway._handle

    async def proxy(request: httpx.Request) -> httpx.Response:
        assert request.url.path.startswith("/timebase/")
        url = request.url.copy_with(path=request.url.path.removeprefix("/timebase"))
        return await inner(httpx.Request(request.method, url, headers=request.headers, content=request.content))

    gateway._handle = proxy  # type: ignore[method-assign]
    async with gateway.login(base=f"{BASE}/timebase") as auth, gateway.http(auth) as http:
        assert (await http.get("/timebase/a")).status_code == 200


def test_a_client_without_an_event_loop_is_refused(alice_key: cp.PrivateKey) -> None:
    auth = SessionAuth(BASE, "k", alice_key, http=httpx.AsyncClient())
    with httpx.Client(auth=auth) as http, pytest.raises(cp.ConfigurationError, match=r"httpx\.AsyncClient"):
        http.get(BASE)


@pytest.mark.parametrize("base", ["", "gateway", "ftp://gateway", "http://", "http://h/?a=1", "http://h:x"])
async def test_addresses_that_cannot_be_used(base: str, alice_key: cp.PrivateKey) -> None:
    with pytest.raises(cp.ConfigurationError, match="gateway's address"):
        await SessionAuth.login(base, "k", alice_key)


async def test_a_refusal_that_is_not_json_is_the_applications(gateway: Gateway) -> None:
    gateway.before = lambda request: httpx.Response(400, text="session not found") if request.url.path == "/a" else None
    async with gateway.login() as auth, gateway.http(auth) as http:
        assert (await http.get("/a")).text == "session not found"
    assert gateway.calls("attempt") == 1


async def test_a_form_is_signed_as_parameters(gateway: Gateway) -> None:
    async with gateway.login() as auth, gateway.http(auth) as http:
        assert (await http.post("/a?c=3", data={"b": "1", "a": "2"})).status_code == 200
        headers = auth.headers("POST", "/a", b"b=1&a=2", content_type="application/x-www-form-urlencoded")
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        async with gateway.http() as plain:
            assert (await plain.post("/a", content=b"a=2&b=1", headers=headers)).status_code == 200


async def test_a_keep_alive_that_failed_for_good_is_reported(
    gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise LookupError("a fault of ours")

    async with gateway.login() as auth:
        gateway.before = broken
        await gateway.sleeper.pass_one()
        keeper = next(task for task in asyncio.all_tasks() if task.get_name() == "cryptoproto-apikeys-keepalive")
        await asyncio.wait([keeper])
        assert repr(auth) == "<SessionAuth TEST_SESSION_API_KEY open>"
    assert "the keep-alive had failed before: a fault of ours" in caplog.text
    assert repr(auth) == "<SessionAuth TEST_SESSION_API_KEY closed>"
