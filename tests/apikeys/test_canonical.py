"""The canonical payload: every rule of it, and its signature."""

from __future__ import annotations

import hmac
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.apikeys.canonical import (
    basic_connect_payload,
    body_role,
    canonical_path,
    canonical_payload,
    check_method,
    decoded_parameters,
    payload_of_url,
    session_connect_payload,
    sign,
    verify,
    without_prefix,
)

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("method", "url", "body", "payload"),
    [
        ("get", "http://h/Api/V0", b"", b"GET/api/v0"),
        ("GET", "http://h", b"", b"GET/"),
        ("GET", "http://h?b=1", b"", b"GET/b=1"),
        ("GET", "/p?b=1&a=2", b"", b"GET/pa=2&b=1"),
        ("GET", "//p/q?b=1", b"", b"GET/p/qb=1"),
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
        ("post", "/p", b"body", b"POST/pbody"),
        ("delete", "/p", b"body", b"DELETE/pbody"),
        ("POST", "/p", b"\xff\x00", b"POST/p\xff\x00"),
        # broken escapes: the parameter is ignored
        ("GET", "/p?a=%zz&b=1", b"", b"GET/pb=1"),
        ("GET", "/p?a%=1&b=%2&c=%41", b"", b"GET/pc=A"),
        ("GET", "/p?a=%zz", b"", b"GET/p"),
        ("GET", "/p?a=%zz&b=1&c=2", b"", b"GET/pb=1&c=2"),
        # half of a character, which some frameworks make of bytes that are not UTF-8
        ("GET", "/\ud800?\udfff=1&\ud800=2", b"", b"GET/\xed\xa0\x80\xed\xa0\x80=2&\xed\xbf\xbf=1"),
        # matrix parameters and double slashes
        ("GET", "/a;v=1/b", b"", b"GET/a/b"),
        ("GET", "/a/b;v=1;w=2?c=3", b"", b"GET/a/bc=3"),
        ("GET", "/a%3Bv/b", b"", b"GET/a;v/b"),
        ("GET", "/a//b///c", b"", b"GET/a/b/c"),
        ("GET", "http://h//a//b", b"", b"GET/a/b"),
    ],
)
def test_canonical_payloads(method: str, url: str, body: bytes, payload: bytes) -> None:
    assert payload_of_url(method, url, body) == payload


@pytest.mark.parametrize(
    ("method", "target", "content_type", "body", "payload"),
    [
        ("POST", "/a", FORM, b"b=1&a=2", b"POST/aa=2&b=1"),
        ("POST", "/a?c=3&B=0", FORM, b"b=1&a=2", b"POST/ab=0&a=2&b=1&c=3"),
        ("POST", "/a?a=query", FORM, b"a=form", b"POST/aa=query"),
        ("POST", "/a", f"{FORM}; charset=UTF-8", "a=x+y&b=%C3%BC&c=ü".encode(), "POST/aa=x y&b=ü&c=ü".encode()),
        ("POST", "/a", FORM, b"a=%zz&b=1", b"POST/ab=1"),
        ("post", "/a", FORM, b"b=1&a=2", b"POST/aa=2&b=1"),
        ("POST", "/a", FORM, b"", b"POST/a"),
        # anything else is a body
        ("PUT", "/a", FORM, b"b=1&a=2", b"PUT/ab=1&a=2"),
        ("POST", "/a", "application/json", b"b=1&a=2", b"POST/ab=1&a=2"),
        ("POST", "/a", "Application/X-WWW-Form-Urlencoded", b"b=1", b"POST/ab=1"),  # the gateway compares with case
        ("PATCH", "/a", FORM, b"b=1&a=2", b"PATCH/a"),
    ],
)
def test_forms_are_signed_as_parameters(
    method: str, target: str, content_type: str, body: bytes, payload: bytes
) -> None:
    assert payload_of_url(method, target, body, content_type=content_type) == payload


def test_the_headers_of_a_session_stand_between_parameters_and_body() -> None:
    headers = "X-Deltix-Nonce=7&X-Deltix-Session-Id=s"
    payload = canonical_payload("POST", "/P", [("a", "1")], b"x", headers=headers)
    assert payload == b"POST/pa=1X-Deltix-Nonce=7&X-Deltix-Session-Id=sx"
    assert payload_of_url("POST", "/P?a=1", b"x", headers=headers) == payload


@pytest.mark.parametrize("method", ["GET", "get", "POST", "post", "Put", "DELETE", "patch", "HEAD"])
@pytest.mark.parametrize("content_type", ["", FORM])
def test_the_role_of_a_body_is_that_of_the_payload(method: str, content_type: str) -> None:
    payload = payload_of_url(method, "/a", b"b=1&a=2", content_type=content_type)
    expected = {"signed": b"b=1&a=2", "parameters": b"a=2&b=1", "unsigned": b""}[body_role(method, content_type)]
    assert payload == method.upper().encode() + b"/a" + expected


@pytest.mark.parametrize("url", ["", "localhost:8099/api", "host/api", "http:", "http:/a"])
def test_a_url_is_complete_or_begins_with_a_slash(url: str) -> None:
    words = r"^the URL must be complete, such as http://host/path, or begin with a slash$"
    with pytest.raises(cp.ConfigurationError, match=words):
        payload_of_url("GET", url)


def test_a_proxy_prefix_is_not_signed() -> None:
    assert payload_of_url("GET", "https://h/TimeBase/api?a=1", path_prefix="/TimeBase") == b"GET/apia=1"
    assert without_prefix("/timebase", "/timebase") == "/"
    assert without_prefix("/timebases/api", "/timebase") == "/timebases/api"


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
    """The gateway reads path and query of the request line, and must compute the same bytes."""
    url = httpx.URL(f"http://h/{quote(path)}", params=pairs)
    request = httpx.Request("GET", url)
    target = request.url.raw_path.decode("ascii")
    parts = urlsplit("http://h" + target)
    ours = payload_of_url("GET", target)
    assert ours == canonical_payload("GET", canonical_path(parts.path), decoded_parameters(parts.query))
    assert ours == payload_of_url("GET", str(url))


def test_verify() -> None:
    digest = hmac.digest(b"secret", b"payload", "sha384")
    signature = sign(b"payload", b"secret")
    assert verify(signature, digest)
    assert not verify(sign(b"payload", b"other"), digest)
    assert not verify(sign(b"other", b"secret"), digest)
    assert not verify("", digest)
    assert not verify("ünicode", digest)
    assert not verify(signature[:-1], digest)


def test_what_a_connect_frame_signs() -> None:
    assert (
        basic_connect_payload("90dd\ud800", "TEST") == b"CONNECTX-Deltix-Payload=90dd\xed\xa0\x80&X-Deltix-ApiKey=TEST"
    )
    for nonce in (7, "7"):
        payload = session_connect_payload(nonce, "a\ud800")
        assert payload == b"CONNECTX-Deltix-Nonce=7&X-Deltix-Session-Id=a\xed\xa0\x80"


def test_a_signature_is_one_line_of_64_characters() -> None:
    signature = sign(b"GET/", b"secret")
    assert signature == "I58lCuWyMCuXoL2tr9zASolfSTVQW0BjTWC2PXQgEk9x1oWoxTQ3xlG9EdVSwhus"
    assert not verify("\ud800" * 64, bytes(48))


def test_nothing_is_signed_that_was_not_given() -> None:
    assert payload_of_url("POST", "/p") == b"POST/p"
    assert payload_of_url("POST", "/p", b"a=\xff", content_type=FORM) == "POST/pa=\ufffd".encode()


def test_a_method_is_a_token_of_http() -> None:
    assert check_method("get") == "get"
    with pytest.raises(cp.ConfigurationError, match=r"^'GE T' is not a method of HTTP, such as GET or POST$"):
        check_method("GE T")
