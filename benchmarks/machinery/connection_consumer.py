"""A process that receives a stream of events with a bare connection and prints what an event cost.

``python -m benchmarks.machinery.connection_consumer KIND URL DIRECTORY COUNT WARM_UP [uvloop]`` with a kind of
``_KINDS`` prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import websockets

import cryptoproto as cp

from .link import baseline_over, connect_to
from .resident import resident_kib
from .runtime import run
from .streams import PREPARE_S, START, prepare, take

__all__ = ["main"]

_LOOKS = 50


async def _ours(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    return await _cost(connect_to(url, directory), count, warm_up, batches=False)


async def _batches(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    return await _cost(connect_to(url, directory), count, warm_up, batches=True)


async def _websockets(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    return await _cost(connect_to(url, directory, transport="websockets"), count, warm_up, batches=False)


async def _cost(connecting: cp.connect, count: int, warm_up: int, *, batches: bool) -> dict[str, Any]:
    async with connecting as connection:
        take_all = _take_batches if batches else _take_events
        await connection.request(prepare(warm_up), timeout=PREPARE_S)
        await take_all(connection, warm_up)
        await connection.request(prepare(count), timeout=PREPARE_S)
        start = time.process_time()
        await take_all(connection, count)
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _baseline(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    handled = 0

    async def handle(_transaction_id: int, _timestamp: float, _payload: dict[str, Any]) -> None:
        nonlocal handled
        handled += 1

    async with aiohttp.ClientSession() as http, http.ws_connect(url) as websocket:
        client = await baseline_over(websocket, directory, handle)
        for number in (warm_up, count):
            await client.request(prepare(number))
            start = time.process_time()
            await client.request(START)
            await client.receive_events(number)
        cpu_us = (time.process_time() - start) / count * 1e6
    if handled != warm_up + count:
        raise ValueError(f"{handled} events were handled instead of {warm_up + count}")
    return {"cpu_us": cpu_us}


async def _bare_websockets(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    """What ``websockets`` itself takes to receive the frames, which are not even decrypted."""
    async with websockets.connect(url, compression=None, max_queue=(65_536, 32_768)) as websocket:
        client = await baseline_over(_AsAiohttp(websocket), directory, _ignore)
        for number in (warm_up, count):
            await client.request(prepare(number))
            start = time.process_time()
            await client.request(START)
            for _ in range(number):
                await websocket.recv()
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


class _AsAiohttp:
    """A connection of ``websockets`` with the methods that the baseline client uses for its handshake."""

    def __init__(self, websocket: websockets.ClientConnection) -> None:
        self.send_bytes = websocket.send
        self.receive_bytes = websocket.recv


async def _ignore(_transaction_id: int, _timestamp: float, _payload: dict[str, Any]) -> None:
    """For a client that receives no events."""


async def _memory(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    async with connect_to(url, directory) as connection:
        await connection.request(prepare(warm_up, as_it_goes=True))
        await _take_events(connection, warm_up)
        before = peak = resident_kib()
        for _ in range(_LOOKS):
            await connection.request(prepare(count // _LOOKS, as_it_goes=True))
            await _take_events(connection, count // _LOOKS)
            peak = max(peak, resident_kib())
        return {"before_mib": before / 1024, "growth_mib": (peak - before) / 1024}


async def _take_events(connection: cp.Connection, count: int) -> None:
    await connection.request(START)
    await take(aiter(connection), count)


async def _take_batches(connection: cp.Connection, count: int) -> None:
    """As :func:`_take_events`, and it looks at each event, too."""
    await connection.request(START)
    taken = 0
    async for batch in connection.batches():
        for _ in batch:
            taken += 1
        if taken == count:
            break


_KINDS = {
    "ours": _ours,
    "batches": _batches,
    "baseline": _baseline,
    "websockets": _websockets,
    "bare-websockets": _bare_websockets,
    "memory": _memory,
}


def main(kind: str, url: str, directory: str, count: str, warm_up: str, uvloop: str = "") -> None:
    measured = run(_KINDS[kind](url, Path(directory), int(count), int(warm_up)), uvloop=uvloop == "uvloop")
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
