"""A process that follows many orders with a client and prints what an event cost.

``python -m benchmarks.machinery.client_consumer KIND URL DIRECTORY COUNT WARM_UP [uvloop]`` with a kind of ``_KINDS``
prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cryptoproto as cp
from cryptoproto.status import serve_status

from .link import client_of, connect_to
from .processes import ROOT, command, environment
from .resident import resident_kib
from .runtime import run
from .samples import ORDER_EVENTS, STANDING_ORDERS
from .streams import PREPARE_S, START, prepare, take

__all__ = ["main"]

_LOOKS = 50
_PIECE = 600
_PAUSE_S = 0.02


async def _connection(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    async with connect_to(url, directory) as connection:
        return await _cost(connection, aiter(connection), count, warm_up)


async def _memory(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    async with client_of(url, directory, cp.MemoryStore()) as client:
        return await _cost(client, client.events(), count, warm_up)


async def _sqlite(url: str, directory: Path, count: int, warm_up: int, *, history: bool = False) -> dict[str, Any]:
    with TemporaryDirectory(prefix="cryptoproto-bench-") as folder:
        store = cp.SqliteStore(Path(folder) / "client.db", history=history)
        async with client_of(url, directory, store) as client:
            return await _cost(client, client.events(), count, warm_up)


async def _standing(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    """A client with a thousand open orders."""
    async with client_of(url, directory, cp.MemoryStore()) as client:
        events = client.events()
        await _take(client, events, STANDING_ORDERS, as_it_goes=False, kind="standing")
        return await _cost(client, events, count, warm_up)


async def _watched(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    """The same, with a status page that is open in another process."""
    async with client_of(url, directory, cp.MemoryStore()) as client:
        events = client.events()
        await _take(client, events, STANDING_ORDERS, as_it_goes=False, kind="standing")
        async with serve_status(client) as status, _page_reader(status.url):
            return await _cost(client, events, count, warm_up)


async def _page(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    """The longest time between two updates of such a page, while events come in pieces with pauses between them."""
    async with client_of(url, directory, cp.MemoryStore()) as client:
        events = client.events()
        await _take(client, events, STANDING_ORDERS, as_it_goes=False, kind="standing")
        async with serve_status(client) as status:
            async with _page_reader(status.url) as reader:
                for _ in range(max(3, count // _PIECE)):
                    await _take(client, events, _PIECE, as_it_goes=True)
                    await asyncio.sleep(_PAUSE_S)
            assert reader.stdout is not None
        read: dict[str, Any] = json.loads(await reader.stdout.readline())
        await reader.wait()
    return read


@asynccontextmanager
async def _page_reader(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that reads the events of the page at *url*; it ends when the server does."""
    reader = await asyncio.create_subprocess_exec(
        *command("benchmarks.machinery.page_reader", url.replace("/?", "/events?")),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=environment(),
    )  # fmt: skip
    assert reader.stdout is not None
    await reader.stdout.readline()
    yield reader


async def _growth(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    """The highest growth of resident memory over *count* events, and over the first tenth of them."""
    async with client_of(url, directory, cp.MemoryStore()) as client:
        events = client.events()
        await _take(client, events, warm_up, as_it_goes=True)
        before, grown = resident_kib(), [0.0]
        for _ in range(_LOOKS):
            await _take(client, events, count // _LOOKS, as_it_goes=True)
            grown.append((resident_kib() - before) / 1024)
        orders = len(client.orders)
    return {"growth_mib": max(grown), "first_tenth_mib": max(grown[: _LOOKS // 10 + 1]), "orders": orders}


async def _cost(
    link: cp.Connection | cp.Client, events: AsyncIterator[cp.Event], count: int, warm_up: int
) -> dict[str, Any]:
    await _take(link, events, warm_up, as_it_goes=False)
    await _prepare(link, count, as_it_goes=False)
    start = time.process_time()
    await _start_and_take(link, events, count)
    return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _take(
    link: cp.Connection | cp.Client,
    events: AsyncIterator[cp.Event],
    count: int,
    *,
    as_it_goes: bool,
    kind: str = "orders",
) -> None:
    await _prepare(link, count, as_it_goes=as_it_goes, kind=kind)
    await _start_and_take(link, events, count)


async def _prepare(link: cp.Connection | cp.Client, count: int, *, as_it_goes: bool, kind: str = "orders") -> None:
    count -= count % ORDER_EVENTS
    await link.request(prepare(count, as_it_goes=as_it_goes, kind=kind), timeout=PREPARE_S)


async def _start_and_take(link: cp.Connection | cp.Client, events: AsyncIterator[cp.Event], count: int) -> None:
    count -= count % ORDER_EVENTS
    await link.request(START)
    await take(events, count)


_KINDS: dict[str, Callable[[str, Path, int, int], Coroutine[Any, Any, dict[str, Any]]]] = {
    "connection": _connection,
    "memory": _memory,
    "sqlite": _sqlite,
    "history": partial(_sqlite, history=True),
    "growth": _growth,
    "standing": _standing,
    "watched": _watched,
    "page": _page,
}


def main(kind: str, url: str, directory: str, count: str, warm_up: str, uvloop: str = "") -> None:
    measured = run(_KINDS[kind](url, Path(directory), int(count), int(warm_up)), uvloop=uvloop == "uvloop")
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
