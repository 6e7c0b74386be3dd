"""What is refused before any page sees it."""

from __future__ import annotations

import asyncio

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.status import StatusServer, serve_status

BEARER = {"Authorization": "Bearer a-token-for-tests"}


@pytest.mark.parametrize("path", ["/", "/status.json", "/events", "/metrics", "/nothing"])
async def test_without_a_token_or_with_a_wrong_one(http: httpx.AsyncClient, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer a-token-for-test"}, {"Cookie": "cryptoproto_status_1=x"}):
        for query in ("", "?token=", "?token=wrong"):
            answer = await http.get(path + query, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert "alice" not in answer.text
            assert "set-cookie" not in answer.headers
            assert ("This page needs its token" in answer.text) is (path == "/")


@pytest.mark.parametrize("path", ["/", "/status.json", "/events", "/healthz", "/status.css", "/cancel-all"])
async def test_it_is_read_only(http: httpx.AsyncClient, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = await http.request(method, path, headers=BEARER)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD"
        assert answer.json()["error"] == "read_only"


@pytest.mark.parametrize("path", ["/", "/status.json", "/healthz", "/status.css"])
async def test_a_name_that_was_pointed_to_this_machine(
    http: httpx.AsyncClient, status: StatusServer, path: str
) -> None:
    port = status.address.rpartition(":")[2]
    for host in (f"rebound.example:{port}", "127.0.0.1.example", ""):
        answer = await http.get(path, headers=BEARER | {"Host": host})
        assert answer.status_code == 403
        assert answer.json()["error"] == "bad_host"
    assert (await http.get(path, headers=BEARER | {"Host": f"localhost:{port}"})).status_code == 200


async def test_two_hosts_are_none(status: StatusServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(status.address.rpartition(":")[2]))
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n")
    assert (await reader.readline()).split()[1] in (b"400", b"403")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("origin", ["http://rebound.example", "null", "https://127.0.0.1:1"])
async def test_requests_of_other_sites(http: httpx.AsyncClient, origin: str) -> None:
    answer = await http.get("/status.json", headers=BEARER | {"Origin": origin})
    assert answer.status_code == 403
    assert answer.json()["error"] == "bad_origin"


async def test_the_page_exchanges_the_token_for_a_cookie(http: httpx.AsyncClient, status: StatusServer) -> None:
    page = await http.get(status.url)
    assert page.status_code == 200
    cookie = page.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert status.token not in cookie
    assert (await http.get("/status.json")).status_code == 200, "the cookie is enough"
    assert "set-cookie" not in (await http.get("/")).headers
    assert "set-cookie" not in (await http.get(f"/status.json?token={status.token}")).headers


async def test_what_browsers_are_told(http: httpx.AsyncClient) -> None:
    for path in ("/", "/status.json", "/healthz", "/nothing"):
        for headers in ({}, BEARER):
            answer = await http.get(path, headers=headers)
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "server" not in answer.headers


async def test_a_post_needs_more_than_the_cookie(client: cp.Client) -> None:
    """A form on another site brings the cookie of a lax browser along, but cannot leave out or choose the origin."""
    async with (
        serve_status(client, allow_cancel=True) as status,
        httpx.AsyncClient(base_url=status.address, trust_env=False) as http,
    ):
        await http.get(status.url)
        assert (await http.post("/cancel-all")).status_code == 401
        for origin in ("http://rebound.example", "null"):
            assert (await http.post("/cancel-all", headers={"Origin": origin})).status_code == 403
        assert (await http.post("/cancel-all", headers={"Origin": status.address})).status_code == 202
        assert (await http.post("/status.json", headers={"Origin": status.address})).status_code == 405
        assert len(client.orders.open) == 1
