"""API keys: canonical payloads, signed requests through the middleware, logins, and configuration files."""

from __future__ import annotations

import asyncio
import atexit
import base64
import hmac
import json
from collections.abc import Iterator
from functools import cache
from typing import Any
from urllib.parse import unquote, unquote_plus

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, ClientLogin
from cryptoproto.apikeys.canonical import canonical_payload, payload_of_url
from cryptoproto.apikeys.diffie_hellman import to_base64
from cryptoproto.apikeys.server import (
    ApiKey,
    ApiKeysConfig,
    ApiKeysMiddleware,
    Gatekeeper,
    KeyStore,
    SessionSettings,
    load_config,
)
from tests.fuzz.scratch import written
from tests.fuzz.target import Cost, Target
from tests.support.apikeys.samples import AUTH, PLACEHOLDERS, SEED_PUBLIC_KEY, SMALL_GROUP, SMALL_LIMITS
from tests.support.wire_oracle import private_key

__all__ = ["TARGETS"]

FORM = "application/x-www-form-urlencoded"
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
URL_WORDS = (
    b"%zz", b"%C3%BC", b"%2F", b"%3B", b"%", b"//", b";v=1", b"&&", b"=", b"+", b"?", b"#", b"&a=1", b"&A=2", b"%00",
    b"%F0%9F%98%80=1", b"%EF%BD%9E=2", b"%ff", b"/../", b"%41", b"\xc3\x84", b"%ED%A0%80", b"%26", b"%3D",
)  # fmt: skip


# Canonical payloads. The first byte of an input chooses the method and whether the body is a form.


def request_of(data: bytes) -> tuple[str, str, bytes, str]:
    """Method, target, body and content type."""
    choice = data[0] if data else 0
    target, _, body = data[1:].partition(b"\n")
    content_type = FORM if choice & 8 else "application/json"
    return METHODS[choice % 5], "/" + target.decode("latin-1"), body, content_type


def read_payload(data: bytes) -> bytes:
    method, target, body, content_type = request_of(data)
    return payload_of_url(method, target, body, content_type=content_type)


def check_payload(data: bytes, payload: bytes) -> None:
    method, target, body, content_type = request_of(data)
    assert payload == by_rules(method, target, body, form=method == "POST" and content_type == FORM)


def by_rules(method: str, target: str, body: bytes, *, form: bool) -> bytes:
    """The canonical payload from the rules alone, character by character where the package uses tables."""
    path, _, query = target.split("#")[0].partition("?")
    parts = [segment.split(";")[0] for segment in path.split("/")]
    # An empty segment is a double slash; a path may end with one slash.
    kept = [part for part in parts[1:-1] if part] + parts[-1:]
    encoded = query + ("&" + body.decode("utf-8", "replace") if form else "")
    first: dict[str, str] = {}
    for parameter in encoded.split("&"):
        name, _, value = parameter.partition("=")
        if name and not _broken(parameter):
            first.setdefault(unquote_plus(name), unquote_plus(value))
    ordered = sorted(first, key=lambda name: [*name.encode("utf-16-be", "surrogatepass")])
    text = method + unquote("/" + "/".join(kept)).lower()
    text += "&".join(name.lower() + "=" + first[name] for name in ordered)
    signed = method in ("POST", "PUT", "DELETE") and not form
    return text.encode("utf-8", "surrogatepass") + (body if signed else b"")


def _broken(parameter: str) -> bool:
    hexadecimal = set("0123456789abcdefABCDEF")
    return any(not (len(rest[:2]) == 2 and set(rest[:2]) <= hexadecimal) for rest in parameter.split("%")[1:])


def payload_seeds() -> Iterator[bytes]:
    for choice in (0, 1, 9, 2, 3, 4):
        yield bytes([choice]) + b"Api/V0;v=1//b%20c?B=1&a=%C3%BC&A=x+y&a=3\nz=1&y=%zz&x"
    yield b"\x00a?b=1#c\n"


# Requests through the middleware: the first byte of an input chooses as above, and whether it is signed.


class _Reached:
    """The application: it remembers what reached it."""

    def __init__(self) -> None:
        self.scope: dict[str, Any] | None = None
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        while True:
            message = await receive()
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@cache
def middlewares() -> tuple[ApiKeysMiddleware, ApiKeysMiddleware]:
    """One of each flow; the clock stands still."""
    keys = KeyStore.of(
        ApiKey.parse("TEST_API_KEY", "TEST_API_SECRET", "admin"),
        ApiKey.parse("RSA", private_key("client").public_key.to_pem().decode(), "admin"),
    )
    sessions = SessionSettings(enabled=True, group=SMALL_GROUP)

    def clock() -> float:
        return 0.0

    basic = Gatekeeper(ApiKeysConfig(keys), clock=clock)
    both = ApiKeysConfig(keys, sessions, both_flows=True)
    with_sessions = Gatekeeper(both, clock=clock, random_below=lambda below: below // 2)
    return (
        ApiKeysMiddleware(_Reached(), basic, max_body=100_000),
        ApiKeysMiddleware(_Reached(), with_sessions, max_body=100_000),
    )


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """One for all inputs: making one takes longer than a request."""
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def headers_of(data: bytes) -> list[tuple[bytes, bytes]]:
    pairs = (line.partition(b":")[::2] for line in data.split(b"\n")[:64])
    return [(name.strip().lower(), value.strip()) for name, value in pairs if name.strip()]


def run_request(data: bytes) -> tuple[int, _Reached]:
    """Method and target, a line; then lines of headers; then, after an empty line, the body."""
    choice = data[0] if data else 0
    line, _, rest = data[1:].partition(b"\n")
    head, _, body = rest.partition(b"\n\n")
    method, target = METHODS[choice % 5], "/" + line.decode("latin-1")
    headers = headers_of(head)
    content_type = FORM if choice & 8 else "application/json"
    if choice & 16:
        headers.append((b"content-type", content_type.encode()))
        headers += [
            (name.lower().encode(), value.encode())
            for name, value in AUTH.headers(method, target, body, content_type=content_type).items()
        ]
    path, _, query = target.partition("#")[0].partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }
    reached, status = _Reached(), 0
    size = max(7, len(body) // 16)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    waiting.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    middleware = middlewares()[choice >> 5 & 1]
    middleware.app = reached
    event_loop().run_until_complete(middleware(scope, receive, send))
    assert not asyncio.all_tasks(event_loop())
    assert middleware.held_bytes == 0
    return status, reached


def check_request(data: bytes, result: tuple[int, _Reached]) -> None:
    status, reached = result
    assert status in (200, 400, 401, 405, 408, 413, 503)
    if reached.scope is None:
        assert status != 200 or b"login" in data or b"session" in data or b"api/v0" in data
        return
    # What the application sees is what the signature covers, whoever reads it.
    scope = reached.scope
    signatures = [value for name, value in scope["headers"] if name == b"x-deltix-signature"]
    assert len(signatures) == 1
    again = scope["raw_path"].decode("latin-1") + "?" + scope["query_string"].decode("latin-1")
    payload = payload_of_url(scope["method"], again, reached.body, content_type=_type_of(scope))
    digest = hmac.digest(b"TEST_API_SECRET", payload, "sha384")
    assert base64.b64encode(digest) == signatures[0]
    assert unquote(scope["raw_path"].decode("latin-1")) == scope["path"]


def _type_of(scope: dict[str, Any]) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"content-type"), "")


def request_seeds() -> Iterator[bytes]:
    for choice in (16, 17, 25, 18, 19, 20, 48, 57):
        yield bytes([choice]) + b"Api/V0;v=1//b%20c?B=1&a=%C3%BC\naccept:x\n\nz=1&y=%zz&x=2"
    for flow in (b"\x01", b"\x24"):
        yield flow + b"api/v1/login/attempt\n\n\n" + json.dumps({"api_key_id": "RSA"}).encode()
    confirm = {"session_id": "x", "signature": base64.b64encode(bytes(256)).decode(), "dh_key": to_base64(7)}
    yield b"\x24session/login/confirm\nx-deltix-nonce:1\n\n" + json.dumps(confirm).encode()
    signed = "".join(f"{name}:{value}\n" for name, value in AUTH.headers("GET", "/a").items())
    yield b"\x00a\n" + signed.encode()
    yield b"\x23a\nx-deltix-session-id:abc\nx-deltix-nonce:5\nx-deltix-signature:" + b"A" * 64 + b"\n"


# Replies of a gateway to a login


def read_login(data: bytes) -> object:
    """The reply to the attempt, a line; then the reply to the confirmation."""
    attempt, _, confirm = data.partition(b"\n")
    login = ClientLogin(attempt, limits=SMALL_LIMITS, random_below=lambda below: below // 3)
    login.answer(private_key("client"))
    outcome = login.finish(confirm)
    assert outcome.keepalive_s > 0
    assert outcome.secret
    return outcome


def login_seeds() -> Iterator[bytes]:
    attempt = {
        "session_id": "abc",
        "challenge": base64.b64encode(bytes(64)).decode(),
        "dh_base": to_base64(SMALL_GROUP.base),
        "dh_modulus": to_base64(SMALL_GROUP.modulus),
        "ttl": "10000",
    }
    for timeout in ("100000", 100_000, 1e5):
        confirm = {"dh_key": to_base64(7), "keepalive_timeout": timeout}
        yield json.dumps(attempt).encode() + b"\n" + json.dumps(confirm).encode()


# Configuration files


def read_config(suffix: str, data: bytes) -> ApiKeysConfig:
    return load_config(written(f"application.{suffix}", data), limits=SMALL_LIMITS)


SESSIONS = """\
security:
  api-keys:
    sessions: {enabled: true, login-root: /a, challengeSize: 64, keepAliveMs: 10_000, dhBase: 5, dhModulus: 7fffffff}
  authorization: {source: CONFIG}
  api-keys-provider:
    api-keys: [{name: a, key: &k MyOwnWord, user: u}, {name: b, key: *k, user: u, authorities: 'x, y'}]
  oauth2: {users: [{username: u, authorities: [r, w]}]}
"""
YAML_WORDS = (
    b"&a ", b"*a", b"- ", b": ", b"\n  ", b"? ", b"!!", b"|\n", b">\n", b"'", b"<<: *a", b"{}", b"[]", b"\t", b"---\n",
    b"a.b: c\n", b"security:", b"enabled: true", b"dhModulus: ", b"challengeSize: ", b"security.api-keys.sessions.",
    b"&a [*a]", b"source: FILE", b"- !!binary x", b"%YAML 1.1\n",
)  # fmt: skip
JSON_WORDS = (b'"apiKeys":', b'"name":', b'"key":', b'"users":[', b'{"a":1,', b"1e400", b'"\\ud800"', b"{", b"[")


def yaml_seeds() -> Iterator[bytes]:
    """Whole files, and short ones: PyYAML takes a microsecond for each character."""
    yield from (PLACEHOLDERS.encode(), SESSIONS.encode())
    for text in (
        "api-keys-provider: {api-keys: []}",
        "api-keys-provider.api-keys: [{name: a, key: &k MyOwnWord, user: u}, {name: b, key: *k, user: v}]",
        "api-keys-provider: {api-keys: [{name: a, key: 'MyOwnWord', user: u, authorities: 'x, y'}]}",
        "sessions: {enabled: true, login-root: /a, challengeSize: 64, keepAliveMs: 10_000}",
        "sessions.dhBase: 5\n  sessions.dhModulus: 7fffffff",
        "authorization: {source: CONFIG}",
        "oauth2: {users: [{username: u, authorities: [r, w]}]}",
    ):
        yield f"security:\n  {text}\n".encode()


def json_seeds() -> Iterator[bytes]:
    keys = [
        {"name": "a", "key": "MyOwnWord", "user": "u"},
        {"name": "r", "key": SEED_PUBLIC_KEY, "user": "u", "authorities": ["x"]},
    ]
    yield json.dumps({"apiKeys": keys, "users": [{"name": "u", "authorities": ["READ"]}]}).encode()
    yield json.dumps({"api-keys": keys[:1]}).encode()


def check_config(data: bytes, config: ApiKeysConfig) -> None:
    """Each key can sign and be verified, under its name, and nothing shows a secret."""
    gatekeeper = Gatekeeper(config)
    assert len(config.keys) <= max(1, len(data))
    assert "MyOwnWord" not in repr((config, gatekeeper))
    key = config.keys.get("a")
    if key is not None and key.secret is not None and not config.sessions.enabled:
        auth = ApiKeyAuth("a", key.secret.decode())
        gatekeeper.check(gatekeeper.claim(auth.headers("GET", "/x")), "GET", "/x", "")


def check_canonical(data: bytes, payload: bytes) -> None:
    check_payload(data, payload)
    method, _, body, _ = request_of(data)
    assert canonical_payload(method, "/", (), body).startswith(method.encode())


# The YAML parser is written in Python: many calls for each byte.
YAML_COST = Cost(calls=40_000, calls_per_byte=400, memory=2_000_000, memory_per_byte=4_000)
URL_COST = Cost(calls=400, calls_per_byte=60, memory=60_000, memory_per_byte=200)
REQUEST_COST = Cost(calls=6_000, calls_per_byte=120, memory=1_000_000, memory_per_byte=300)

TARGETS = (
    Target(
        "canonical-payloads",
        read_payload,
        (),
        payload_seeds,
        check_canonical,
        words=URL_WORDS,
        longest=1024,
        cost=URL_COST,
        stretched_to=8_192,
    ),
    Target(
        "api-keys-requests",
        run_request,
        (),
        request_seeds,
        check_request,
        words=(*URL_WORDS, b"x-deltix-apikey:", b"x-deltix-nonce:1\n", b"content-length:9999999999999\n", b'"dh_key":'),
        longest=1600,
        cost=REQUEST_COST,
        in_suite=250,
    ),
    Target(
        "api-keys-logins",
        read_login,
        (cp.DecodeError,),
        login_seeds,
        words=(b'"dh_key":', b'"keepalive_timeout":', b"AAAA", b"==", b'"challenge":"', b"1e308", b'"1_0"'),
        cost=Cost(calls=10_000, calls_per_byte=100, memory=300_000, memory_per_byte=400),
        in_suite=200,
    ),
    Target(
        "api-keys-yaml",
        lambda data: read_config("yaml", data),
        (cp.ConfigurationError,),
        yaml_seeds,
        check_config,
        words=YAML_WORDS,
        longest=160,
        cost=YAML_COST,
        in_suite=60,
        stretched_to=800,
    ),
    Target(
        "api-keys-json",
        lambda data: read_config("json", data),
        (cp.ConfigurationError,),
        json_seeds,
        check_config,
        words=JSON_WORDS,
        in_suite=300,
    ),
)
