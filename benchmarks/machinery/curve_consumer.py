"""A process that receives events and prints what one cost, for the curves of the report.

``python -m benchmarks.machinery.curve_consumer KIND URL DIRECTORY COUNT SIZE [uvloop]`` prints one line of JSON. Kinds:

- ``picows``, ``websockets``: one connection over this transport, events of SIZE bytes.
- ``aiohttp``: the straightforward client, the same events.
- ``connections``: SIZE connections share the COUNT events.
- ``open-orders``: a client with SIZE open orders.
- ``memory``: SIZE looks at the resident memory while COUNT events come.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

import cryptoproto as cp

from ..baselines.client import BaselineClient
from .link import connect_to
from .resident import resident_kib
from .runtime import run
from .samples import CLIENT_ID

__all__ = ["main"]

_START = {"@type": "StartStream", "padding": "." * 20}


def _prepare(count: int, **more: object) -> dict[str, object]:
    return {"@type": "PrepareStream", "count": count, "as_it_goes": False, **more}


async def _sized(url: str, directory: Path, count: int, size: int, *, transport: cp.TransportKind) -> dict[str, Any]:
    async with connect_to(url, directory, transport=transport) as connection:
        for number in (count // 10 + 1, count):
            await connection.request(_prepare(number, size=size), timeout=300)
            start = time.process_time()
            await connection.request(_START)
            await _take(aiter(connection), number)
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _aiohttp(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    async def handle(_transaction_id: int, _timestamp: float, _payload: dict[str, Any]) -> None:
        pass

    async with aiohttp.ClientSession() as http, http.ws_connect(url) as websocket:
        client = BaselineClient(websocket, handle)
        key = cp.PrivateKey.load(directory / "client.pem")
        await client.handshake(CLIENT_ID, key, cp.PublicKey.load(directory / "server.pub"))
        for number in (count // 10 + 1, count):
            await client.request(_prepare(number, size=size))
            start = time.process_time()
            await client.request(_START)
            await client.receive_events(number)
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _connections(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    share = count // size
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(connect_to(url, directory)) for _ in range(size)]
        for link in links:
            await link.request(_prepare(share), timeout=300)
        start = time.process_time()
        await asyncio.gather(*(link.request(_START, timeout=300) for link in links))
        await asyncio.gather(*(_take(aiter(link), share) for link in links))
        return {"cpu_us": (time.process_time() - start) / (share * size) * 1e6}


async def _open_orders(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    client = cp.Client(
        url,
        client_id=CLIENT_ID,
        private_key=cp.PrivateKey.load(directory / "client.pem"),
        server_key=cp.PublicKey.load(directory / "server.pub"),
        protocol=cp.Protocol.V5,
        transport="picows",
        store=cp.MemoryStore(),
    )
    async with client:
        events = client.events()
        for number, kind in ((size, "standing"), (count // 10, "orders"), (count, "orders")):
            await client.request(_prepare(number, kind=kind), timeout=300)
            start = time.process_time()
            await client.request(_START)
            await _take(events, number)
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _memory(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    looks = []
    async with connect_to(url, directory) as connection:
        for number in [count // 10] + size * [count // size]:
            await connection.request(_prepare(number, as_it_goes=True), timeout=300)
            await connection.request(_START)
            await _take(aiter(connection), number)
            looks.append(resident_kib() / 1024)
    return {"looks_mib": looks}


async def _take(events: AsyncIterator[cp.Event], count: int) -> None:
    taken = 0
    async for _ in events:
        taken += 1
        if taken == count:
            break


_KINDS: dict[str, Callable[[str, Path, int, int], Coroutine[Any, Any, dict[str, Any]]]] = {
    "picows": partial(_sized, transport="picows"),
    "websockets": partial(_sized, transport="websockets"),
    "aiohttp": _aiohttp,
    "connections": _connections,
    "open-orders": _open_orders,
    "memory": _memory,
}


def main(kind: str, url: str, directory: str, count: str, size: str, uvloop: str = "") -> None:
    measured = run(_KINDS[kind](url, Path(directory), int(count), int(size)), uvloop=uvloop == "uvloop")
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
