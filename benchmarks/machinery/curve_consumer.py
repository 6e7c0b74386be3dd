"""A process that receives events and prints what one cost, for the curves of the report.

``python -m benchmarks.machinery.curve_consumer KIND URL DIRECTORY COUNT SIZE [uvloop]`` prints one line of JSON. Kinds:

- ``picows``, ``websockets``: one connection over this transport, events of SIZE bytes.
- ``aiohttp``: the straightforward client, the same events.
- ``connections``: SIZE connections share the COUNT events.
- ``open-orders``: a client with SIZE open orders.
- ``memory``: SIZE looks at the resident memory while COUNT events come.
- ``round-trip``: COUNT requests, one at a time, after SIZE to warm up.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

import cryptoproto as cp

from .link import baseline_over, client_of, connect_to
from .resident import resident_kib
from .runtime import run
from .streams import PREPARE_S, START, prepare, take

__all__ = ["main"]


async def _sized(url: str, directory: Path, count: int, size: int, *, transport: cp.TransportKind) -> dict[str, Any]:
    async with connect_to(url, directory, transport=transport) as connection:
        for number in (count // 10 + 1, count):
            await connection.request(prepare(number, size=size), timeout=PREPARE_S)
            start = time.process_time()
            await connection.request(START)
            await take(aiter(connection), number)
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _aiohttp(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    async def handle(_transaction_id: int, _timestamp: float, _payload: dict[str, Any]) -> None:
        pass

    async with aiohttp.ClientSession() as http, http.ws_connect(url) as websocket:
        client = await baseline_over(websocket, directory, handle)
        for number in (count // 10 + 1, count):
            await client.request(prepare(number, size=size))
            start = time.process_time()
            await client.request(START)
            await client.receive_events(number)
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _connections(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    share = count // size
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(connect_to(url, directory)) for _ in range(size)]
        for link in links:
            await link.request(prepare(share), timeout=PREPARE_S)
        start = time.process_time()
        await asyncio.gather(*(link.request(START, timeout=PREPARE_S) for link in links))
        await asyncio.gather(*(take(aiter(link), share) for link in links))
        return {"cpu_us": (time.process_time() - start) / (share * size) * 1e6}


async def _open_orders(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    async with client_of(url, directory, cp.MemoryStore()) as client:
        events = client.events()
        for number, kind in ((size, "standing"), (count // 10, "orders"), (count, "orders")):
            await client.request(prepare(number, kind=kind), timeout=PREPARE_S)
            start = time.process_time()
            await client.request(START)
            await take(events, number)
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _memory(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    looks = []
    async with connect_to(url, directory) as connection:
        for number in [count // 10] + size * [count // size]:
            await connection.request(prepare(number, as_it_goes=True), timeout=PREPARE_S)
            await connection.request(START)
            await take(aiter(connection), number)
            looks.append(resident_kib() / 1024)
    return {"looks_mib": looks}


async def _round_trip(url: str, directory: Path, count: int, size: int) -> dict[str, Any]:
    request = cp.UserBalanceRequest()
    taken = []
    async with connect_to(url, directory) as connection:
        for _ in range(size + count):
            start = time.perf_counter_ns()
            await connection.request(request)
            taken.append((time.perf_counter_ns() - start) / 1000)
    return {"p50_us": statistics.median(taken[size:])}


_KINDS: dict[str, Callable[[str, Path, int, int], Coroutine[Any, Any, dict[str, Any]]]] = {
    "picows": partial(_sized, transport="picows"),
    "websockets": partial(_sized, transport="websockets"),
    "aiohttp": _aiohttp,
    "connections": _connections,
    "open-orders": _open_orders,
    "memory": _memory,
    "round-trip": _round_trip,
}


def main(kind: str, url: str, directory: str, count: str, size: str, uvloop: str = "") -> None:
    measured = run(_KINDS[kind](url, Path(directory), int(count), int(size)), uvloop=uvloop == "uvloop")
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
