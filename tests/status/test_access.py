"""Who may read the status: tokens, cookies, hosts and origins."""

from __future__ import annotations

import hmac
import os

import pytest

import cryptoproto as cp
from cryptoproto.status.access import Access


def test_a_token_is_made_for_each_server() -> None:
    tokens = {Access().token for _ in range(20)}
    assert len(tokens) == 20
    assert all(len(token) >= 32 for token in tokens)


@pytest.mark.parametrize("token", ["", "two words", "töken", "x" * 513, "line\n", 7, b"bytes"])
def test_tokens_that_cannot_be_used(token: object) -> None:
    with pytest.raises(cp.ConfigurationError, match="visible ASCII characters"):
        Access(token)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("authorization", "query", "accepted"),
    [
        ("Bearer secret", None, True),
        ("bearer  secret ", None, True),
        (None, "secret", True),
        ("Bearer secret", "wrong", True),
        ("Bearer wrong", "secret", False),
        ("Basic secret", None, False),
        ("secret", None, False),
        ("Bearer secre", None, False),
        ("Bearer secrets", None, False),
        ("Bearer \udcff", None, False),
        ("Bearer", None, False),
        (None, "", False),
        (None, None, False),
    ],
)
def test_the_token(authorization: str | None, query: str | None, accepted: bool) -> None:
    assert Access("secret").has_token(authorization, query) is accepted


def test_every_comparison_takes_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    access = Access("secret")
    assert not access.has_token("Bearer no", None)
    assert not access.has_token(None, "x" * 100)
    assert not access.has_cookie("name=0", "name")
    assert [(len(one), len(other)) for one, other in compared] == [(32, 32)] * 3


def test_the_cookie() -> None:
    access = Access("secret")
    header = access.cookie("status")
    pair, *attributes = header.split("; ")
    assert attributes == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert "secret" not in header
    assert access.has_cookie(f"other=1; {pair}", "status")
    assert Access("secret").has_cookie(pair, "status"), "the same token after a restart"
    assert not Access("another").has_cookie(pair, "status")
    for wrong in (None, "", "status=", pair[:-1], "status=secret", pair.replace("status", "other"), "a b;;=\x01"):
        assert not access.has_cookie(wrong, "status")


@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("127.0.0.1:8500", True),
        ("127.0.0.1", True),
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("[::1]:8500", True),
        ("evil.example:8500", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:80", False),
        ("evil@127.0.0.1", False),
        ("127.0.0.1/x", False),
        ("127.0.0.2:8500", False),
        ("127.0.0.1:port", False),
        ("[::1", False),
        ("", False),
        (None, False),
    ],
)
def test_hosts(host: str | None, accepted: bool) -> None:
    assert Access("t").is_local_host(host) is accepted


@pytest.mark.parametrize(
    ("origin", "accepted"),
    [
        (None, True),
        ("http://localhost:8500", True),
        ("HTTP://LOCALHOST:8500", True),
        ("https://localhost:8500", False),
        ("http://localhost:8501", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_origins(origin: str | None, accepted: bool) -> None:
    assert Access("t").is_own_origin(origin, "localhost:8500") is accepted


def test_any_bytes_in_a_cookie_are_harmless() -> None:
    access = Access("t")
    for _ in range(200):
        assert not access.has_cookie(os.urandom(24).decode("latin-1"), "status")
