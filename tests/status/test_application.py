"""The paths, over HTTP."""

from __future__ import annotations

import json
import sys

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.status import StatusServer, serve_status
from cryptoproto.status.access import Access
from cryptoproto.status.application import application
from cryptoproto.status.camera import Camera
from cryptoproto.status.event_stream import EventStreams
from cryptoproto.status.observer import Observer

BEARER = {"Authorization": "Bearer a-token-for-tests"}


async def test_the_status_is_as_fresh_as_the_request(http: httpx.AsyncClient, client: cp.Client) -> None:
    for count in (2, 3):
        await client.place("BTC_USD", "buy", amount="1", price="99")
        document = (await http.get("/status.json", headers=BEARER)).json()
        assert len(document["open_orders"]) == count
    assert {"state", "balances", "open_orders", "fills", "latencies", "throttling"} <= document.keys()
    assert document["state"] == "live"


async def test_events(http: httpx.AsyncClient, client: cp.Client) -> None:
    async with http.stream("GET", "/events", headers=BEARER) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == "event: full"
        assert len(json.loads((await anext(lines)).removeprefix("data: "))["open_orders"]) == 1
        order = await client.place("BTC_USD", "sell", amount="1", price="200")
        shown: list[int] = []
        async for line in lines:
            if line.startswith("data: "):
                shown += [row["order_id"] for row in json.loads(line[6:]).get("orders", {}).get("set", [])]
            if order.order_id in shown:
                break


async def test_asking_whether_events_are_to_be_had(http: httpx.AsyncClient) -> None:
    answer = await http.head("/events", headers=BEARER)
    assert (answer.status_code, answer.content) == (200, b"")


async def test_too_many_pages(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, client: cp.Client) -> None:
    monkeypatch.setattr("cryptoproto.status.server._MOST_STREAMS", 1)
    async with serve_status(client, token="t") as status:
        url = f"{status.address}/events?token=t"
        async with http.stream("GET", url) as first:
            await anext(first.aiter_lines())
            for method in ("GET", "HEAD"):
                answer = await http.request(method, url)
                assert answer.status_code == 503
        async with http.stream("GET", f"{status.address}/status.json?token=t") as answer:
            assert answer.status_code == 200, "the server noticed that the page was closed, or has other room"


async def test_metrics(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics", headers=BEARER)
    assert 'cryptoproto_client_orders_sent_total{client="alice"} 1.0' in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")


async def test_metrics_without_the_library(client: cp.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with serve_status(client, token="t") as status, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{status.address}/metrics?token=t")
        assert answer.status_code == 501
        assert "pip install 'cryptoproto[metrics]'" in answer.text


async def test_health_needs_no_token_and_says_nothing_else(http: httpx.AsyncClient, client: cp.Client) -> None:
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"state": "live"})
    await client.close()
    answer = await http.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"state": "closed"})


async def test_the_page_and_its_parts(http: httpx.AsyncClient) -> None:
    page = await http.get("/", headers=BEARER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path, kind in (("/status.css", "text/css"), ("/status.js", "text/javascript"), ("/rows.js", "text/javascript"),
                       ("/icon.svg", "image/svg+xml")):  # fmt: skip
        assert path in page.text
        part = await http.get(path)
        assert part.status_code == 200
        assert part.headers["content-type"].startswith(kind)
    for forbidden in ("<script>", "style=", "onclick=", "http://", "https://"):
        assert forbidden not in page.text, "the content security policy does not allow it"
    assert (await http.get("/nothing", headers=BEARER)).status_code == 404
    assert (await http.get("/../server.py", headers=BEARER)).status_code == 404


async def test_cancelling_all_orders(client: cp.Client) -> None:
    async with (
        serve_status(client, allow_cancel=True, token="t") as status,
        httpx.AsyncClient(base_url=status.address, headers={"Authorization": "Bearer t"}, trust_env=False) as http,
    ):
        assert (await http.get("/status.json")).json()["allow_cancel"] is True
        asked = await http.post("/cancel-all")
        assert asked.status_code == 202
        assert len(client.orders.open) == 1
        done = await http.post("/cancel-all", params={"confirm": asked.json()["confirm"]})
        assert (done.status_code, done.json()) == (200, {"cancelled": True, "open_orders": 0})
        assert client.orders.open == []
        assert (await http.post("/cancel-all", params={"confirm": "x"})).status_code == 409
        assert (await http.get("/cancel-all")).status_code == 405


async def test_while_the_server_closes(client: cp.Client) -> None:
    camera = Camera(Observer(client).look, 0.2)
    app = application(
        client, camera=camera, streams=EventStreams(camera, 1), access=Access("t"), cookie="c", cancel_all=None
    )
    camera.close()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", params={"token": "t"}) as http:
        answer = await http.get("/status.json")
        assert (answer.status_code, answer.json()["error"]) == (503, "closing")
        assert (await http.get("/events")).text == "event: closing\ndata: {}\n\n"


async def test_what_the_server_says_of_itself(status: StatusServer) -> None:
    assert repr(status) == f"<StatusServer at {status.address}>"
