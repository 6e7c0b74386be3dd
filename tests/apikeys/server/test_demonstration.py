"""The demonstration API over HTTP and STOMP."""

from __future__ import annotations

import httpx
import pytest

import cryptoproto as cp
from cryptoproto.apikeys import ApiKeyAuth, StompConnection
from cryptoproto.apikeys.server import (
    Gatekeeper,
)
from cryptoproto.apikeys.server.demonstration import demonstration_app, running
from tests.support.apikeys.samples import AUTH


async def test_the_demonstration_tells_of_new_streams(basic_gatekeeper: Gatekeeper) -> None:
    async with running(demonstration_app(basic_gatekeeper)) as url:
        socket = url.replace("http", "ws") + "/stomp/v0"
        async with (
            StompConnection.connect(socket, auth=AUTH) as stomp,
            httpx.AsyncClient(auth=AUTH, base_url=url) as http,
        ):
            subscription = await stomp.subscribe("/topic/streams", receipt=True)
            assert (await http.post("/api/v0/streams", json={"key": "ticks"})).status_code == 201
            assert (await anext(subscription)).json() == {"key": "ticks", "description": ""}
            assert (await http.post("/api/v0/streams", content=b"{")).status_code == 422
            assert (await http.post("/api/v0/none/x/select")).status_code == 404
        reader = ApiKeyAuth("READ_ONLY", "READ_ONLY_SECRET")
        async with httpx.AsyncClient(auth=reader, base_url=url) as http:
            assert (await http.get("/api/v0/streams")).status_code == 200
            refused = await http.post("/api/v0/streams", json={"key": "x"})
            assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
        async with StompConnection.connect(socket, auth=reader) as stomp:
            await stomp.subscribe("/topic/streams", receipt=True)
            with pytest.raises(cp.StompError, match="may not send"):
                await stomp.send("/topic/streams", "x", receipt=True)
