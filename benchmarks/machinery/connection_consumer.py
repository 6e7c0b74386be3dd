"""A process that receives a stream of events with a bare connection and prints what an event cost.

``python -m benchmarks.machinery.connection_consumer ours|baseline|memory URL DIRECTORY COUNT WARM_UP [uvloop]``
prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
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

_LOOKS = 50


async def _ours(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    async with connect_to(url, directory) as connection:
        await _take(connection, warm_up, as_it_goes=False)
        await connection.request({"@type": "PrepareStream", "count": count, "as_it_goes": False}, timeout=300)
        start = time.process_time()
        await connection.request({"@type": "StartStream", "padding": "." * 20})
        taken = 0
        async for _ in connection:
            taken += 1
            if taken == count:
                break
        return {"cpu_us": (time.process_time() - start) / count * 1e6}


async def _baseline(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    handled = 0

    async def handle(_transaction_id: int, _timestamp: float, _payload: dict[str, Any]) -> None:
        nonlocal handled
        handled += 1

    async with aiohttp.ClientSession() as http, http.ws_connect(url) as websocket:
        client = BaselineClient(websocket, handle)
        key = cp.PrivateKey.load(directory / "client.pem")
        await client.handshake(CLIENT_ID, key, cp.PublicKey.load(directory / "server.pub"))
        for number in (warm_up, count):
            await client.request({"@type": "PrepareStream", "count": number, "as_it_goes": False})
            start = time.process_time()
            await client.request({"@type": "StartStream", "padding": "." * 20})
            await client.receive_events(number)
        cpu_us = (time.process_time() - start) / count * 1e6
    if handled != warm_up + count:
        raise ValueError(f"{handled} events were handled instead of {warm_up + count}")
    return {"cpu_us": cpu_us}


async def _memory(url: str, directory: Path, count: int, warm_up: int) -> dict[str, Any]:
    async with connect_to(url, directory) as connection:
        await _take(connection, warm_up, as_it_goes=True)
        before = peak = resident_kib()
        for _ in range(_LOOKS):
            await _take(connection, count // _LOOKS, as_it_goes=True)
            peak = max(peak, resident_kib())
        return {"before_mib": before / 1024, "growth_mib": (peak - before) / 1024}


async def _take(connection: cp.Connection, count: int, *, as_it_goes: bool) -> None:
    await connection.request({"@type": "PrepareStream", "count": count, "as_it_goes": as_it_goes}, timeout=300)
    await connection.request({"@type": "StartStream", "padding": "." * 20})
    taken = 0
    async for _ in connection:
        taken += 1
        if taken == count:
            break


_KINDS = {"ours": _ours, "baseline": _baseline, "memory": _memory}


def main(kind: str, url: str, directory: str, count: str, warm_up: str, uvloop: str = "") -> None:
    measured = run(_KINDS[kind](url, Path(directory), int(count), int(warm_up)), uvloop=uvloop == "uvloop")
    print(json.dumps(measured))


if __name__ == "__main__":
    main(*sys.argv[1:])
