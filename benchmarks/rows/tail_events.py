"""The slowest of a thousand events at 10,000 events a second, against the median.

A sender that keeps to its times sends them, so a receiver that is late delays nothing (no coordinated omission). Ten
minutes of it: ``python -m benchmarks.tail --minutes 10``.
"""

from __future__ import annotations

from typing import Any, Final

from ..machinery.effort import Effort
from ..machinery.measure import Pair
from ..machinery.report import Row
from ..machinery.ticks import RATE, receive_ticks

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 3

_SECONDS: Final = 5
_KINDS: Final = ("bare", "default", "tuned")


def rows(effort: Effort) -> list[Row]:
    """With and without :func:`cryptoproto.tuned_gc`, and what a bare socket shows of the machine; in turns."""
    count = effort.scaled(_SECONDS * RATE)
    measured: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
    for _ in range(effort.rounds):
        for kind in _KINDS:
            measured[kind].append(receive_ticks(effort.responder, kind, count))

    def pairs(kind: str, since: str) -> list[Pair]:
        return [(each[f"{since}_p999_us"], each[f"{since}_p50_us"]) for each in measured[kind]]

    pauses = [
        (tuned["gc_longest_us"], default["gc_longest_us"])
        for tuned, default in zip(measured["tuned"], measured["default"], strict=True)
    ]
    title = "p99.9 of events at 10,000/s"
    made = [
        Row.from_pairs(
            "tail-events", f"{title}, sent to handled, against p50", pairs("tuned", "sent"), unit="us", at_most=5.0
        ),
        Row.from_pairs("tail-events-due", f"{title}, due to handled, against p50", pairs("tuned", "due"), unit="us"),
        Row.from_pairs("tail-events-default", "the same without tuned_gc()", pairs("default", "sent"), unit="us"),
        Row.from_pairs("tail-events-bare", "the same on a bare socket", pairs("bare", "sent"), unit="us"),
    ]
    if "kernel_p50_us" in measured["bare"][0]:
        what = "the same on a bare socket, from the timestamp of the kernel"
        made.append(Row.from_pairs("tail-events-kernel", what, pairs("bare", "kernel"), unit="us"))
    longest = "longest run of the garbage collector with tuned_gc(), against Python's own settings"
    made.append(Row.from_pairs("tail-events-gc", longest, pauses, unit="us"))
    return made
