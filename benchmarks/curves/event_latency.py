"""How long events take from the sender to the handler at 10,000 a second, to p99.99."""

from __future__ import annotations

import statistics
from typing import Any, Final

from ..machinery.curve import Curve, Drawing, Role, Series
from ..machinery.effort import Effort
from ..machinery.ticks import KINDS, RATE, receive_ticks

__all__ = ["drawings"]

_SECONDS: Final = 5
_ROUNDS: Final = 3
_LOOPS: Final = ("asyncio", "uvloop")
_LINES: Final[tuple[tuple[str, Role, str, str], ...]] = (
    ("cryptoproto with tuned_gc()", "ours", "tuned", "sent"),
    ("cryptoproto, Python's own garbage collection", "ours", "default", "sent"),
    ("straightforward client with aiohttp", "peer", "aiohttp", "sent"),
    ("bare socket", "floor", "bare", "sent"),
    ("bare socket, from the timestamp of the kernel", "floor", "bare", "kernel"),
)
"""The name and the role of a line, the kind of consumer, and since when the time is taken."""


def drawings(effort: Effort) -> list[Drawing]:
    """A plot for each event loop; all consumers take turns."""
    count = effort.scaled(_SECONDS * RATE)
    loops = _LOOPS[:1] if effort.quick else _LOOPS
    measured: dict[str, dict[str, list[dict[str, Any]]]] = {loop: {kind: [] for kind in KINDS} for loop in loops}
    for _ in range(effort.repeated(_ROUNDS)):
        for kind in KINDS:
            for loop in loops:
                measured[loop][kind].append(receive_ticks(effort.responder, kind, count, uvloop=loop == "uvloop"))
    return [_drawing(loop, measured[loop]) for loop in loops]


def _drawing(loop: str, measured: dict[str, list[dict[str, Any]]]) -> Curve:
    return Curve(
        f"event-latency-{loop}",
        f"An event at {RATE:,} a second, from the sender to the handler, event loop of {loop}",
        f"The sender, a thread of another process, keeps to its times whether or not the receiver keeps up, so a pause "
        f"counts for every event that it delays. Medians of {_ROUNDS} runs of {_SECONDS} seconds, in turns. A program "
        "with 200,000 other objects, that keeps its last 50,000 events. The bare socket neither decrypts nor decodes: "
        "its slowest events are what the machine does. The kernel's timestamp is that of the last packet of a read.",
        "percentile",
        "time from sending to handling, µs",
        [
            Series(name, role, _medians(measured[kind], since))
            for name, role, kind, since in _LINES
            if f"{since}_p50_us" in measured[kind][0]  # not every system has timestamps of the kernel
        ],
        axis="percentile",
    )


def _medians(runs: list[dict[str, Any]], since: str) -> list[tuple[float, float]]:
    distributions = [dict(map(tuple, run[f"{since}_distribution_us"])) for run in runs]
    shared = sorted(set.intersection(*map(set, distributions)))
    return [(percentile, statistics.median(each[percentile] for each in distributions)) for percentile in shared]
