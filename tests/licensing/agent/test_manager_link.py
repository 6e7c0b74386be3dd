"""Addresses of managers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.licensing import InvalidToken, KeyPair, Keyring, LicenseAgent, ManagerUnavailable, NoFreeLicense
from cryptoproto.licensing.agent.manager_link import ManagerLink
from tests.support.licensing.simulated_time import START_NS


@pytest.mark.parametrize(
    ("urls", "complaint"),
    [
        ([], "pass a list"),
        ("https://lm", "pass a list"),
        (["lm.example.com"], "not an http or https"),
        (["ftp://lm"], "not an http or https"),
        (["http://lm.example.com"], "not encrypted.*--insecure"),
        (["https://user:hunter2@lm"], "remove the user and password"),
        (["http://lm:port/"], "not a valid address"),
        (["https://lm:65536/"], "the highest is 65535"),
    ],
)
def test_addresses_that_cannot_be_used(
    gateway: KeyPair, keyring: Keyring, tmp_path: Path, urls: Any, complaint: str
) -> None:
    key = keyring.active(START_NS)[0].public
    with pytest.raises(cp.ConfigurationError, match=complaint) as caught:
        LicenseAgent(urls, keys=gateway, manager_key=key, package="p", cache_dir=tmp_path)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://lm", "https://lm/v1/license"),
        ("https://lm/", "https://lm/v1/license"),
        ("https://lm/custom", "https://lm/custom"),
        ("http://127.0.0.1:8390", "http://127.0.0.1:8390/v1/license"),
        ("http://localhost", "http://localhost/v1/license"),
    ],
)
async def test_the_usual_path_is_added(url: str, asked: str) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=b"token")

    link = ManagerLink([url], verify=True, insecure=False, timeout_s=1.0, transport=httpx.MockTransport(answer))
    assert await link.acquire(b"request", bytes.decode) == "token"
    await link.close()
    assert [str(request.url) for request in requests] == [asked]
    assert requests[0].headers["content-type"] == "application/octet-stream"


async def test_a_reply_that_is_not_accepted_is_skipped() -> None:
    def accept(reply: bytes) -> bytes:
        raise InvalidToken("not ours")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"token"))
    link = ManagerLink(["https://lm"], verify=False, insecure=False, timeout_s=1.0, transport=transport)
    with pytest.raises(ManagerUnavailable, match="https://lm/v1/license: not ours"):
        await link.acquire(b"request", accept)
    await link.close()


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (unreachable, "ConnectError: connection refused"),
        (lambda _: httpx.Response(503), "HTTP status 503"),
        (lambda _: httpx.Response(302), "HTTP status 302"),
        (lambda _: httpx.Response(200, content=bytes(65_537)), "the reply is too long for a license manager"),
    ],
)
async def test_the_next_address_is_asked_and_failures_are_listed(
    answer: Callable[[httpx.Request], httpx.Response], complaint: str
) -> None:
    asked: list[str] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return answer(request)

    transport = httpx.MockTransport(note)
    link = ManagerLink(["https://a", "https://b"], verify=True, insecure=False, timeout_s=1.0, transport=transport)
    with pytest.raises(ManagerUnavailable) as caught:
        await link.acquire(b"request", bytes.decode)
    await link.close()
    assert asked == ["a", "b"]
    assert str(caught.value).count(complaint) == 2


@pytest.mark.parametrize("status", [400, 413, 429])
async def test_a_refusal_is_final(status: int) -> None:
    asked: list[str] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(status, content=b'{"reason": "no_free_license", "message": "wait"}')

    transport = httpx.MockTransport(refuse)
    link = ManagerLink(["https://a", "https://b"], verify=True, insecure=False, timeout_s=1.0, transport=transport)
    with pytest.raises(NoFreeLicense, match="wait"):
        await link.acquire(b"request", bytes.decode)
    await link.close()
    assert asked == ["a"]


def test_a_certificate_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="cannot be used as PEM certificates"):
        ManagerLink(["https://lm"], verify=tmp_path / "none.pem", insecure=False, timeout_s=1.0)
