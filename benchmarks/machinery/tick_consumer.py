"""A process that receives events at a steady rate, and prints how long they took to reach its handler.

``python -m benchmarks.machinery.tick_consumer KIND URL DIRECTORY COUNT RATE [uvloop]`` prints one line of JSON. *KIND*
is ``default``, ``tuned`` (with :func:`cryptoproto.tuned_gc`), ``aiohttp`` (the straightforward client), or ``bare``.
Then *URL* is the port at which the responder sends without WebSocket and encryption, and the kernel's own timestamps
are read as well.
"""

from __future__ import annotations

import array
import asyncio
import gc
import json
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from struct import Struct
from typing import Any, Final

import aiohttp

import cryptoproto as cp

from .curve import distribution
from .link import baseline_over, connect_to
from .metronome import TICKS
from .runtime import run
from .samples import EVENT_FRAME_BYTES

__all__ = ["main"]

_SO_TIMESTAMPNS: Final = 35  # Linux; the module socket has no name for it
_TIMESPEC: Final = Struct("qq")
_MOMENT: Final = Struct("<d")
_WARM_UP_S: Final = 0.5
_BALLAST: Final = 200_000
"""How many objects the program has besides: those of pandas and a few tables, for example."""
_WINDOW: Final = 50_000
"""How many of the last events it keeps."""
_FINISH: Final = {"@type": "FinishTicks", "padding": "." * 20}
_PERCENTILES: Final = {"p50": 0.5, "p99": 0.99, "p999": 0.999, "p9999": 0.9999, "max": 1.0}


async def _ours(url: str, directory: Path, count: int, rate: float, *, tuned: bool) -> dict[str, Any]:
    due, taken = array.array("d"), array.array("d")
    clock = time.monotonic
    ballast = [[number] for number in range(_BALLAST)]
    window: deque[list[cp.Event]] = deque(maxlen=_WINDOW)
    async with connect_to(url, directory) as connection:
        with cp.tuned_gc() if tuned else nullcontext():
            pauses = Pauses()
            await connection.request(_start(count, rate))
            async for event in connection:
                taken.append(clock())
                due.append(event.timestamp or 0.0)
                window.append([event])
                if len(taken) == count:
                    break
        await connection.request(_FINISH)
    if not pauses.microseconds:
        gc.collect(0)  # there were too few events
    collected = {"gc_longest_us": max(pauses.microseconds), "gc_total_us": sum(pauses.microseconds)}
    del ballast
    return {**_since(due, taken, rate, "due"), **_since(_sent(directory), taken, rate, "sent"), **collected}


async def _aiohttp(url: str, directory: Path, count: int, rate: float) -> dict[str, Any]:
    """The same program with the straightforward client, which starts a task for each event."""
    due, taken = array.array("d"), array.array("d")
    clock = time.monotonic
    ballast = [[number] for number in range(_BALLAST)]
    window: deque[list[dict[str, Any]]] = deque(maxlen=_WINDOW)

    async def handle(_transaction_id: int, timestamp: float, payload: dict[str, Any]) -> None:
        taken.append(clock())
        due.append(timestamp)
        window.append([payload])

    async with aiohttp.ClientSession() as http, http.ws_connect(url) as websocket:
        client = await baseline_over(websocket, directory, handle)
        await client.request(_start(count, rate))
        await client.receive_events(count)
        await client.request(_FINISH)
    del ballast
    return {**_since(due, taken, rate, "due"), **_since(_sent(directory), taken, rate, "sent")}


def _start(count: int, rate: float) -> dict[str, Any]:
    return {"@type": "StartTicks", "count": count, "rate": rate}


async def _bare(port: str, directory: Path, count: int, rate: float) -> dict[str, Any]:
    """As little as possible between the socket and the handler: a callback of the event loop that reads."""
    loop = asyncio.get_running_loop()
    due, taken, waited = array.array("d"), array.array("d"), array.array("d")
    finished = asyncio.Event()
    rest = b""

    def read() -> None:
        nonlocal rest
        received, ancillary, _, _ = connected.recvmsg(256 * 1024, 64)
        now, now_by_the_clock = time.monotonic(), time.time()
        if not received:  # the responder has closed the connection, and written down when each was sent
            finished.set()
        for _, kind, value in ancillary:
            if kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(value[: _TIMESPEC.size])
                waited.append(now_by_the_clock - seconds - nanoseconds * 1e-9)
        data = rest + received
        whole = len(data) - len(data) % EVENT_FRAME_BYTES
        for start in range(0, whole, EVENT_FRAME_BYTES):
            taken.append(now)
            due.append(_MOMENT.unpack_from(data, start)[0])
        rest = data[whole:]

    with socket.create_connection(("127.0.0.1", int(port))) as connected:
        if sys.platform == "linux":
            connected.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        connected.sendall(f"{rate} {count}\n".encode())
        connected.setblocking(False)
        loop.add_reader(connected, read)
        await finished.wait()
        loop.remove_reader(connected)
    measured = {**_since(due, taken, rate, "due"), **_since(_sent(directory), taken, rate, "sent")}
    if waited:  # of each read, since the last packet in it
        measured |= _percentiles(waited, "kernel")
    return measured


def _sent(directory: Path) -> array.array[float]:
    """When each was sent, as the other process has written it down."""
    path = directory / TICKS
    sent = array.array("d", path.read_bytes())
    path.unlink()
    return sent


class Pauses:
    """How much CPU each run of the garbage collector has taken."""

    def __init__(self) -> None:
        self.microseconds: list[float] = []
        self._begin = 0
        gc.callbacks.append(self._on_run)

    def _on_run(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._begin = time.thread_time_ns()
        else:
            self.microseconds.append((time.thread_time_ns() - self._begin) / 1000)


def _since(moments: Sequence[float], taken: Sequence[float], rate: float, name: str) -> dict[str, Any]:
    skipped = min(int(rate * _WARM_UP_S), len(taken) // 2)
    pairs = zip(moments[skipped:], taken[skipped:], strict=True)
    return _percentiles([end - start for start, end in pairs], name)


def _percentiles(seconds: Sequence[float], name: str) -> dict[str, Any]:
    ordered = sorted(seconds)
    last = len(ordered) - 1
    measured: dict[str, Any] = {
        f"{name}_{key}_us": ordered[round(last * share)] * 1e6 for key, share in _PERCENTILES.items()
    }
    measured[f"{name}_distribution_us"] = [(percentile, each * 1e6) for percentile, each in distribution(ordered)]
    return measured


_KINDS: Final[dict[str, Callable[[str, Path, int, float], Coroutine[Any, Any, dict[str, Any]]]]] = {
    "default": partial(_ours, tuned=False),
    "tuned": partial(_ours, tuned=True),
    "aiohttp": _aiohttp,
    "bare": _bare,
}


def main(kind: str, url: str, directory: str, count: str, rate: str, uvloop: str = "") -> None:
    folder, many, often = Path(directory), int(count), float(rate)
    print(json.dumps(run(_KINDS[kind](url, folder, many, often), uvloop=uvloop == "uvloop")))


if __name__ == "__main__":
    main(*sys.argv[1:])
