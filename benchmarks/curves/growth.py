"""How the costs of a client grow with its work: requests in flight, connections, open orders; and its memory."""

from __future__ import annotations

import statistics
from typing import Final

from ..machinery.curve import Curve, Drawing, Series
from ..machinery.effort import Effort
from ..machinery.link import connect_to
from ..machinery.processes import run_client
from ..machinery.runtime import run
from ..rows.in_flight import cpu_us

__all__ = ["drawings"]

_CONSUMER: Final = "benchmarks.machinery.curve_consumer"
_ROUNDS: Final = 3
_IN_FLIGHT: Final = (1, 10, 100, 1_000, 10_000)
_REQUESTS: Final = 20_000
_CONNECTIONS: Final = (1, 10, 100)
_OPEN_ORDERS: Final = (6, 60, 600, 6_000, 60_000)
_EVENTS: Final = 60_000
_LOOKS: Final = 25

_CONNECTED: Final = (
    "connections",
    _CONNECTIONS,
    "CPU time of an event against the connections of a process",
    "One process holds all connections, and the events are spread over them.",
    "connections",
)
_STANDING: Final = (
    "open-orders",
    _OPEN_ORDERS,
    "CPU time of an event against the open orders of a client",
    "Client with MemoryStore. Its events place, fill and close further orders while the open ones stay.",
    "open orders",
)


def drawings(effort: Effort) -> list[Drawing]:
    """CPU time of a request and of an event against the work at hand; memory against events."""
    return [_in_flight(effort), _by_size(effort, *_CONNECTED), _by_size(effort, *_STANDING), _memory(effort)]


def _in_flight(effort: Effort) -> Curve:
    server = effort.responder
    sizes = effort.some(_IN_FLIGHT)

    async def measure() -> list[tuple[float, float]]:
        count = effort.scaled(_REQUESTS)
        async with connect_to(server.url, server.directory, request_timeout=120.0) as connection:
            rounds = [
                [await cpu_us(connection, size, count) for size in sizes] for _ in range(effort.repeated(_ROUNDS))
            ]
        medians = map(statistics.median, zip(*rounds, strict=True))
        return list(zip(map(float, sizes), medians, strict=True))

    return Curve(
        "in-flight",
        "CPU time of a request against the requests in flight",
        "So many tasks make one request after the other over one connection. With one task, each request waits for the "
        "event loop; with ten, one turn of the loop serves several.",
        "requests in flight",
        "CPU time of a request, µs",
        [Series("cryptoproto over picows", "ours", run(measure(), uvloop=server.uvloop))],
        from_zero=True,
    )


def _by_size(effort: Effort, kind: str, sizes: tuple[int, ...], title: str, reading: str, x: str) -> Curve:
    sizes = effort.some(sizes)
    count = max(effort.scaled(_EVENTS) // 60 * 60, 60)
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(effort.repeated(_ROUNDS)):
        for size in sizes:
            measured = run_client(effort.responder, kind, count, size, module=_CONSUMER)
            costs[size].append(measured["cpu_us"])
    points = [(float(size), statistics.median(costs[size])) for size in sizes]
    series = [Series("cryptoproto over picows", "ours", points)]
    return Curve(kind, title, reading, x, "CPU time of an event, µs", series, from_zero=True)


def _memory(effort: Effort) -> Curve:
    count = effort.scaled(1_000_000)
    looks = run_client(effort.responder, "memory", count, min(_LOOKS, count), module=_CONSUMER)["looks_mib"]
    points = [(number * count / (len(looks) - 1), look) for number, look in enumerate(looks)]
    return Curve(
        "memory",
        "Memory of a process over a million events",
        "Resident memory of a process with one connection, after a tenth of a million events to warm up.",
        "events",
        "resident memory, MiB",
        [Series("cryptoproto over picows", "ours", points)],
        axis="time",
        from_zero=True,
    )
