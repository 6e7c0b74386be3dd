"""What an event costs over a real socket: against a straightforward client, a bare library, and by the batch."""

from __future__ import annotations

from functools import partial
from typing import Final

from ..machinery.effort import Effort
from ..machinery.measure import Pair, in_turns
from ..machinery.processes import run_client
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5


def rows(effort: Effort) -> list[Row]:
    """The CPU time of an event; each client in a fresh process, in turns.

    The straightforward client uses aiohttp and starts a task for each event. The bare library only receives the frames,
    and decrypts nothing.
    """

    def turns(kind: str, other: str) -> list[Pair]:
        return in_turns(partial(_cpu_us, effort, kind), partial(_cpu_us, effort, other), effort.rounds)

    title = "CPU of an event, received and iterated over, against aiohttp and a task for each"
    by_batch = "CPU of an event that is taken by the batch, against one by one"
    websockets = "CPU of an event over websockets, against receiving the frames with bare websockets"
    return [
        Row.from_pairs("receive", title, turns("ours", "baseline"), unit="us", times_faster=7.0),
        Row.from_pairs("receive-batches", by_batch, turns("batches", "ours"), unit="us", at_most=0.75),
        Row.from_pairs(
            "receive-websockets", websockets, turns("websockets", "bare-websockets"), unit="us", at_most=1.4
        ),
    ]


def _cpu_us(effort: Effort, kind: str) -> float:
    measured = run_client(effort.responder, kind, effort.scaled(100_000), effort.scaled(10_000))
    return float(measured["cpu_us"])
