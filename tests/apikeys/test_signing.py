"""Signatures: the seed's printed ones, every rule of the canonical payload, and both shells of the basic flow."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth
from cryptoproto.apikeys.canonical import canonical_payload, payload_of_url, sign, verify, without_prefix

AUTH = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")

BBO = (
    "http://localhost:8099/api/v0/charting/bbo?startTime=2009-06-19T19:22:00.000Z&endTime=2009-06-19T19:25:00.000Z"
    "&symbols=AAPL&levels=1&maxPoints=6000&type=TRADES_BBO"
)
BBO_PAYLOAD = (
    "GET/api/v0/charting/bboendtime=2009-06-19T19:25:00.000Z&levels=1&maxpoints=6000"
    "&starttime=2009-06-19T19:22:00.000Z&symbols=AAPL&type=TRADES_BBO"
)
SELECT = "http://localhost:8099/api/v0/bars1min/goog/select"
SELECT_BODY = (
    b'{"from":null,"to":null,"offset":0,"rows":1000,"reverse":false,"space":null,'
    b'"types":["deltix.timebase.api.messages.BarMessage"]}'
)


def test_the_printed_signature_of_a_query() -> None:
    assert payload_of_url("GET", BBO) == BBO_PAYLOAD.encode()
    assert AUTH.headers("GET", BBO, b"") == {
        "X-Deltix-ApiKey": "TEST_API_KEY",
        "X-Deltix-Signature": "7amMhPgGq2mXo6twDUyDUlWAYJ9g+PyemZ1yIj6yhCnk4TS5viVi9DCGpaWX+GZz",
    }


def test_the_printed_signature_of_a_body() -> None:
    assert payload_of_url("POST", SELECT, SELECT_BODY) == b"POST/api/v0/bars1min/goog/select" + SELECT_BODY
    signature = AUTH.headers("POST", SELECT, SELECT_BODY)["X-Deltix-Signature"]
    assert signature == "DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe"


def test_the_printed_signature_of_a_connect() -> None:
    payload = "90dd333e-4858-4fba-a71b-12f958b36689"
    assert AUTH.stomp_headers(payload) == {
        "X-Deltix-ApiKey": "TEST_API_KEY",
        "X-Deltix-Payload": payload,
        "X-Deltix-Signature": "nAoVRNtR+g8gKUG6/4hQbBbRy6A9KcqGfBjIx1gZCfwrGkvHBelJIpzosxelRRGF",
    }


def test_the_python_sample() -> None:
    digest = hmac.new(b"TEST_API_SECRET", b"GET/api/v0/streams", hashlib.sha384).digest()
    headers = AUTH.headers("GET", "http://localhost:8099/api/v0/streams")
    assert headers["X-Deltix-Signature"] == base64.b64encode(digest).decode()


def test_every_connect_has_a_payload_of_its_own() -> None:
    assert len({AUTH.stomp_headers()["X-Deltix-Payload"] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    ("method", "url", "body", "payload"),
    [
        ("get", "http://h/Api/V0", b"", b"GET/api/v0"),
        ("GET", "http://h", b"", b"GET/"),
        ("GET", "http://h?b=1", b"", b"GET/b=1"),
        ("GET", "/p?b=1&a=2", b"", b"GET/pa=2&b=1"),
        ("GET", "//p/q?b=1", b"", b"GET//p/qb=1"),
        ("GET", "/p#top?x=1", b"", b"GET/p"),
        # sorted as written, upper case first, and lower-cased only then
        ("GET", "/p?b=1&C=2&a=3", b"", b"GET/pc=2&a=3&b=1"),
        ("GET", "/p?a=1&A=2", b"", b"GET/pa=2&a=1"),
        ("GET", "/p?a_b=1&aB=2", b"", b"GET/pab=2&a_b=1"),
        # repeated, empty, nameless
        ("GET", "/p?a=first&b=&a=second", b"", b"GET/pa=first&b="),
        ("GET", "/p?b&a", b"", b"GET/pa=&b="),
        ("GET", "/p?&&a=1&&=x", b"", b"GET/pa=1"),
        ("GET", "/p?", b"", b"GET/p"),
        # decoded, with their case
        ("GET", "/p?s=A%26B%3DC+d%2Be", b"", b"GET/ps=A&B=C d+e"),
        ("GET", "/%C3%84%2FB?q=%C3%9C", b"", "GET/ä/bq=Ü".encode()),
        ("GET", "/Ä?q=Ü", b"", "GET/äq=Ü".encode()),
        ("GET", "/a+b%20c", b"", b"GET/a+b c"),
        ("GET", "/p?%41=1&a=2", b"", b"GET/pa=1&a=2"),
        # UTF-16 order: a character beyond the basic plane comes before U+FF5E there, after it by code point
        ("GET", "/p?%EF%BD%9E=1&%F0%9F%98%80=2", b"", "GET/p😀=2&～=1".encode()),
        # bodies of POST, PUT and DELETE alone
        ("POST", "/p?a=1", b"body", b"POST/pa=1body"),
        ("put", "/p", b"body", b"PUT/pbody"),
        ("DELETE", "/p", b"body", b"DELETE/pbody"),
        ("PATCH", "/p", b"body", b"PATCH/p"),
        ("GET", "/p", b"body", b"GET/p"),
        ("POST", "/p", b"\xff\x00", b"POST/p\xff\x00"),
    ],
)
def test_canonical_payloads(method: str, url: str, body: bytes, payload: bytes) -> None:
    assert payload_of_url(method, url, body) == payload


def test_the_headers_of_a_session_stand_between_parameters_and_body() -> None:
    payload = canonical_payload("POST", "/P", "a=1", b"x", headers="X-Deltix-Nonce=7&X-Deltix-Session-Id=s")
    assert payload == b"POST/pa=1X-Deltix-Nonce=7&X-Deltix-Session-Id=sx"


def test_a_proxy_prefix_is_not_signed() -> None:
    assert payload_of_url("GET", "https://h/TimeBase/api?a=1", path_prefix="/TimeBase") == b"GET/apia=1"
    assert without_prefix("/timebase", "/timebase") == "/"
    assert without_prefix("/timebases/api", "/timebase") == "/timebases/api"
    behind = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET", path_prefix="/timebase/")
    assert behind.headers("GET", "https://h/timebase/api") == AUTH.headers("GET", "https://h/api")


@settings(deadline=None)
@given(
    path=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    pairs=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        ),
        max_size=6,
    ),
)
def test_what_httpx_sends_is_what_was_signed(path: str, pairs: list[tuple[str, str]]) -> None:
    """The gateway sees the decoded path and the raw query of the request line; it must arrive at the same bytes."""
    url = httpx.URL(f"http://h/{quote(path)}", params=pairs)
    request = httpx.Request("GET", url)
    target = request.url.raw_path.decode("ascii")
    parts = urlsplit("http://h" + target)
    ours = payload_of_url("GET", target)
    assert ours == canonical_payload("GET", unquote(parts.path), parts.query)
    assert ours == payload_of_url("GET", str(url))


def test_verify() -> None:
    signature = sign(b"payload", b"secret")
    assert verify(signature, b"payload", b"secret")
    assert not verify(signature, b"payload", b"other")
    assert not verify(signature, b"other", b"secret")
    assert not verify("", b"payload", b"secret")
    assert not verify("ünicode", b"payload", b"secret")
    assert not verify(signature[:-1], b"payload", b"secret")


def _echo(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={**request.headers, "body": request.content.decode()})


def test_sync_client_signs() -> None:
    with httpx.Client(auth=AUTH, transport=httpx.MockTransport(_echo)) as http:
        seen = http.get(BBO).json()
        assert seen["x-deltix-signature"] == AUTH.headers("GET", BBO)["X-Deltix-Signature"]
        sent = http.post(SELECT, content=SELECT_BODY).json()
        assert sent["x-deltix-signature"] == "DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe"
        assert sent["x-deltix-apikey"] == "TEST_API_KEY"


async def test_async_client_signs_streamed_bodies_too() -> None:
    async def pieces() -> object:
        yield SELECT_BODY[:10]
        yield SELECT_BODY[10:]

    async with httpx.AsyncClient(auth=AUTH, transport=httpx.MockTransport(_echo)) as http:
        sent = (await http.post(SELECT, content=pieces())).json()  # type: ignore[arg-type]
    assert sent["body"] == SELECT_BODY.decode()
    assert sent["x-deltix-signature"] == "DtMdHJ4vc0LYx9H0YB80dICiah10x/i1KFrJ+Ba+RyOw5wc+6WcXdxCHA3GFYrIe"


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a\r\nX-Evil: 1", "ключ", "a" * 257])
def test_names_that_fit_into_no_header_are_refused(name: str) -> None:
    with pytest.raises(cp.ConfigurationError, match="printable ASCII"):
        ApiKeyAuth(name, "secret")


def test_other_arguments_that_cannot_be_used() -> None:
    with pytest.raises(cp.ConfigurationError, match="secret of an API key cannot be empty"):
        ApiKeyAuth("name", "")
    with pytest.raises(cp.ConfigurationError, match="begins with a slash"):
        ApiKeyAuth("name", "secret", path_prefix="timebase")
    with pytest.raises(cp.ConfigurationError, match="payload of a CONNECT"):
        AUTH.stomp_headers("a\nb")


def test_a_key_name_may_have_spaces_and_secrets_may_be_bytes() -> None:
    assert ApiKeyAuth("api key name", b"\xff\x00").headers("GET", "/")["X-Deltix-ApiKey"] == "api key name"


def test_nothing_of_the_secret_is_shown() -> None:
    assert repr(AUTH) == "<ApiKeyAuth TEST_API_KEY>"
