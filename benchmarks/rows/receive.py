"""What an event costs over a real socket: against a straightforward client, a bare library, and by the batch."""

from __future__ import annotations

from functools import partial
from typing import Final

from ..machinery.effort import Effort
from ..machinery.measure import in_turns
from ..machinery.processes import run_client
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5


def rows(effort: Effort) -> list[Row]:
    """The CPU time of an event; each client in a fresh process, in turns.

    The straightforward client uses aiohttp and starts a task for each event. The bare library only receives the frames,
    and decrypts nothing.
    """
    return [
        Row.from_pairs(
            "receive",
            "events iterated per CPU second, against aiohttp and the obvious codec",
            _turns(effort, "ours", "baseline"),
            unit="us",
            times_faster=7.0,
        ),
        Row.from_pairs(
            "receive-batches",
            "an event that comes in a batch, against one by one",
            _turns(effort, "batches", "ours"),
            unit="us",
            at_most=0.75,
        ),
        Row.from_pairs(
            "receive-websockets",
            "an event over websockets, against bare websockets",
            _turns(effort, "websockets", "bare-websockets"),
            unit="us",
            at_most=1.4,
        ),
    ]


def _turns(effort: Effort, kind: str, other: str) -> list[tuple[float, float]]:
    return in_turns(partial(_cpu_us, effort, kind), partial(_cpu_us, effort, other), effort.rounds)


def _cpu_us(effort: Effort, kind: str) -> float:
    measured = run_client(effort.responder, kind, effort.scaled(100_000), effort.scaled(10_000))
    return float(measured["cpu_us"])
