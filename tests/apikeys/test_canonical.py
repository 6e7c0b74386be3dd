"""The canonical payload: every rule of it, and its signature."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoproto.apikeys import ApiKeyAuth
from cryptoproto.apikeys.canonical import canonical_payload, payload_of_url, sign, verify, without_prefix
from tests.support.apikeys.samples import AUTH

BBO = (
    "http://localhost:8099/api/v0/charting/bbo?startTime=2009-06-19T19:22:00.000Z&endTime=2009-06-19T19:25:00.000Z"
    "&symbols=AAPL&levels=1&maxPoints=6000&type=TRADES_BBO"
)


BBO_PAYLOAD = (
    "GET/api/v0/charting/bboendtime=2009-06-19T19:25:00.000Z&levels=1&maxpoints=6000"
    "&starttime=2009-06-19T19:22:00.000Z&symbols=AAPL&type=TRADES_BBO"
)


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
