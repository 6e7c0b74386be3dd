"""A thousand requests at once in one session: how fast they are, and whether their nonces stay in order."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import httpx

from cryptoproto import PrivateKey
from cryptoproto.apikeys import SessionAuth

from ..machinery.effort import Effort
from ..machinery.gateway import API_KEY, gateway
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 1

_CONNECTIONS = 100


def rows(effort: Effort) -> list[Row]:
    """The rate, and how many requests the gateway rejected."""
    count = effort.scaled(1000)
    rate, rejected = run(_measure(count))
    title = f"{count:,} requests at once in one session"
    return [
        Row.absolute("apikeys-requests", title, rate, unit="/s"),
        Row.absolute("apikeys-requests-rejected", f"{title}: rejected", rejected, unit="", below=1),
    ]


async def _measure(count: int) -> tuple[float, int]:
    key = PrivateKey.generate()
    limits = httpx.Limits(max_connections=_CONNECTIONS)
    async with (
        gateway(key) as url,
        await SessionAuth.login(url, API_KEY, key) as auth,
        httpx.AsyncClient(auth=auth, base_url=url, limits=limits, timeout=60) as http,
    ):
        start = time.perf_counter()
        responses = await asyncio.gather(*(http.get("/api/v0/streams") for _ in range(count)))
        took = time.perf_counter() - start
    return count / took, sum(response.status_code != httpx.codes.OK for response in responses)
