"""What the version of Python and the event loop make of the costs of an event and of a round trip."""

from __future__ import annotations

import statistics
from typing import Final

from ..machinery.curve import Bars, Drawing, Role
from ..machinery.effort import Effort
from ..machinery.interpreters import label
from ..machinery.processes import run_client

__all__ = ["drawings"]

_ROUNDS: Final = 3
_LOOPS: Final = ("asyncio", "uvloop")
_MEASURED: Final[dict[str, tuple[str, str, str, tuple[int, int]]]] = {
    "versions-receive": ("CPU time of an event of Connection", "connection_consumer", "ours", (100_000, 10_000)),
    "versions-client": ("CPU time of an event of Client", "client_consumer", "memory", (60_000, 12_000)),
    "versions-round-trip": ("Round trip of a request (p50)", "curve_consumer", "round-trip", (5_000, 500)),
}
"""The title, the module and the kind of the process that measures it, and its numbers, by the name of the plot."""
_READING: Final = (
    "Each bar is the median of {rounds} fresh processes that run the client with this interpreter, all in turns; the "
    "other end of the connection stays the same. The interpreters are those of the machine, from different compilers."
)
_NOT_FREE_THREADED: Final = (
    " The free-threaded build is not among them: in November 2026 cryptography, msgspec, picows and uvloop have wheels "
    "for that of Python 3.14, but orjson 3.13.0 has none, and the package needs it."
)


def drawings(effort: Effort) -> list[Drawing]:
    """A bar for each interpreter on each event loop."""
    labels = {python: label(python) for python in effort.pythons}
    taken: dict[str, dict[tuple[str, str], list[float]]] = {name: {} for name in _MEASURED}
    for _ in range(effort.repeated(_ROUNDS)):
        for python in effort.pythons:
            for loop in _LOOPS:
                for name in _MEASURED:
                    taken[name].setdefault((python, loop), []).append(_measure(effort, name, python, loop))
    is_there = any("free-threaded" in each for each in labels.values())
    reading = _READING.format(rounds=_ROUNDS) + ("" if is_there else _NOT_FREE_THREADED)
    return [
        Bars(
            name,
            f"{title}, by version of Python and event loop",
            reading,
            f"{title}, µs",
            [_bar(f"Python {labels[python]}, {loop}", times) for (python, loop), times in taken[name].items()],
        )
        for name, (title, _, _, _) in _MEASURED.items()
    ]


def _measure(effort: Effort, name: str, python: str, loop: str) -> float:
    _, module, kind, numbers = _MEASURED[name]
    measured = run_client(
        effort.responder, kind, *map(effort.scaled, numbers),
        module=f"benchmarks.machinery.{module}", python=python, uvloop=loop == "uvloop",
    )  # fmt: skip
    return float(measured.get("cpu_us") or measured["p50_us"])


def _bar(name: str, times: list[float]) -> tuple[str, Role, float]:
    return name, "ours", statistics.median(times)
