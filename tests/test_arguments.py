"""Checks of arguments: what passes, and what each check says about what does not."""

from __future__ import annotations

import functools
import ssl
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.arguments import (
    check_count,
    check_http_url,
    check_plain_function,
    check_seconds,
    check_tls,
    check_url,
    redacted,
)


@pytest.mark.parametrize("seconds", [1, 0.001, 1e9, float("inf")])
def test_seconds(seconds: float) -> None:
    check_seconds("timeout", seconds)


@pytest.mark.parametrize("seconds", [0, -1, -0.0, float("nan"), True, "1", None])
def test_what_is_not_a_number_of_seconds(seconds: object) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"^timeout=.* must be a number of seconds, greater than zero$"):
        check_seconds("timeout", seconds)


def test_counts() -> None:
    check_count("max_queue", 1, 1)
    check_count("max_queue", 10**9, 1)


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "1", None])
def test_what_is_not_a_count(count: object) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"^max_queue=.* must be a whole number, 1 or more$"):
        check_count("max_queue", count, 1)


async def coroutine() -> None:
    raise NotImplementedError


@pytest.mark.parametrize("function", [print, lambda: None, functools.partial(print, 1), str])
def test_plain_functions(function: object) -> None:
    check_plain_function("on_event", function)


@pytest.mark.parametrize("function", [coroutine, functools.partial(coroutine), None, "print"])
def test_what_is_not_a_plain_function(function: object) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"^on_event=.* must be a plain function"):
        check_plain_function("on_event", function)


def test_a_tls_context() -> None:
    check_tls(None, wanted=False)
    check_tls(ssl.create_default_context(), wanted=True)


def test_what_is_not_a_tls_context_or_has_no_effect() -> None:
    with pytest.raises(cp.ConfigurationError, match=r"ssl must be an ssl\.SSLContext, not bool"):
        check_tls(True, wanted=True)
    with pytest.raises(cp.ConfigurationError, match="ws://, which does not use it; use wss://"):
        check_tls(ssl.create_default_context(), wanted=False)


@pytest.mark.parametrize(
    "url",
    [
        "wss://api.example.com",
        "wss://api.example.com:8443/path?x=1",
        "wss://user:pass@api.example.com",
        "wss://bücher.example",
        "ws://localhost:8400",
        "ws://127.0.0.1",
        "ws://127.3.2.1",
        "ws://[::1]:1",
    ],
)
def test_addresses(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (5, "the address must be a str, not int"),
        (None, "not NoneType"),
        ("", "is not a WebSocket address; write it like wss://"),
        ("api.example.com", "is not a WebSocket address"),
        ("https://api.example.com", "is not a WebSocket address"),
        ("wss://", "is not a WebSocket address"),
        ("wss://api.example.com:99999", "is not a valid address: "),
        ("wss://[::1", "is not a valid address: "),
        (f"wss://{'a' * 64}.com", "is not a valid address: "),
        ("ws://api.example.com", "not this machine; use wss://, or pass insecure=True"),
        ("ws://localhost.example.com", "not this machine"),
        ("ws://128.0.0.1", "not this machine"),
    ],
)
def test_addresses_that_are_rejected(url: Any, words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        check_url(url)


def test_an_address_without_tls_on_request() -> None:
    check_url("ws://api.example.com", insecure=True)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://api.example.com/a@b", "wss://api.example.com/a@b"),
        ("wss://user:hunter2@api.example.com/x", "wss://***@api.example.com/x"),
        ("wss://user@api.example.com", "wss://***@api.example.com"),
        ("wss://user:hunter@2@api.example.com", "wss://***@api.example.com"),
    ],
)
def test_credentials_in_an_address_are_not_shown(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.mark.parametrize(
    "url",
    ["wss://user:hunter2@host:99999", "https://user:hunter2@host", "ws://user:hunter2@host", "wss://user:hunter2@[::1"],
)
def test_an_error_about_an_address_does_not_show_its_password(url: str) -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        check_url(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://h", "https://h:65535/a?b", "http://[::1]:80"])
def test_http_addresses(url: str) -> None:
    check_http_url(url)


@pytest.mark.parametrize(
    "url", ["", "h", "/a", "http:///a", "ws://h", "http://h:x", "http://h:65536", "http://[::1", "http://h h"]
)
def test_what_is_no_http_address(url: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"HTTP address|valid address"):
        check_http_url(url)


def test_the_password_in_an_http_address_is_not_shown() -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        check_http_url("http://alice:geheim@h:x")
    assert "geheim" not in str(caught.value)
