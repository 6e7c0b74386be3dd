"""What an event costs over a real socket, against a straightforward client with aiohttp and a task for each event."""

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
    """How many more events our client takes per CPU second; each client in a fresh process, in turns."""
    pairs = in_turns(partial(_cpu_us, effort, "ours"), partial(_cpu_us, effort, "baseline"), effort.rounds)
    title = "events iterated per CPU second, against aiohttp and the obvious codec"
    return [Row.from_pairs("receive", title, pairs, unit="us", times_faster=4.0)]


def _cpu_us(effort: Effort, kind: str) -> float:
    measured = run_client(effort.responder, kind, effort.scaled(100_000), effort.scaled(10_000))
    return float(measured["cpu_us"])
