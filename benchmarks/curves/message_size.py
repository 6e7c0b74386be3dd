"""What an event costs as it grows: ours over both libraries, a straightforward client, and bare AES and JSON."""

from __future__ import annotations

import statistics
import time
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from cryptoproto.messages import decode

from ..machinery.curve import Curve, Drawing, Role, Series
from ..machinery.effort import Effort
from ..machinery.processes import run_client
from ..machinery.samples import sized_event_json

__all__ = ["drawings"]

_SIZES: Final = (200, 1_000, 4_000, 16_000, 60_000)
_BYTES: Final = 24_000_000
_MOST: Final = 40_000
_ROUNDS: Final = 3
_HEAD_BYTES: Final = 48  # header, ids, padding and the first block of a frame
_CONSUMER: Final = "benchmarks.machinery.curve_consumer"
_CLIENTS: Final[dict[str, tuple[str, Role]]] = {
    "picows": ("cryptoproto over picows", "ours"),
    "websockets": ("cryptoproto over websockets", "ours"),
    "aiohttp": ("straightforward client with aiohttp", "peer"),
}


def drawings(effort: Effort) -> list[Drawing]:
    """CPU time of an event for each size; clients take turns."""
    sizes = effort.some(_SIZES)
    costs: dict[str, dict[int, list[float]]] = {kind: {size: [] for size in sizes} for kind in (*_CLIENTS, "floor")}
    for _ in range(effort.repeated(_ROUNDS)):
        for size in sizes:
            count = effort.scaled(min(_MOST, _BYTES // size))
            for kind in _CLIENTS:
                measured = run_client(effort.responder, kind, count, size, module=_CONSUMER)
                costs[kind][size].append(measured["cpu_us"])
            costs["floor"][size].append(_floor_us(size, effort.scaled(2_000)))
    lines: dict[str, tuple[str, Role]] = {**_CLIENTS, "floor": ("bare AES and JSON decoder", "floor")}
    return [
        Curve(
            "message-size",
            "CPU time of a received event against its size",
            "Events of the same type with a field that grows. Each client runs in a fresh process and receives the "
            "events as fast as it can. A usual event has 200 bytes. Large ones cost what AES, JSON and copying their "
            "bytes cost.",
            "bytes of JSON in an event",
            "CPU time of an event, µs",
            [
                Series(name, role, [(size, statistics.median(costs[kind][size])) for size in sizes])
                for kind, (name, role) in lines.items()
            ],
        )
    ]


def _floor_us(size: int, count: int) -> float:
    raws = [sized_event_json(size, number) for number in range(count)]
    frame = bytes((size + _HEAD_BYTES) // 16 * 16)
    update = Cipher(AES(bytes(32)), CBC(bytes(16))).decryptor().update

    def work(raw: bytes) -> None:
        update(frame)
        decode(raw)

    list(map(work, raws[: count // 10]))
    start = time.process_time()
    list(map(work, raws))
    return (time.process_time() - start) / count * 1e6
