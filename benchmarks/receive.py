"""Events over a real socket: CPU seconds of our client against those of a straightforward one."""

from __future__ import annotations

from .measure import in_turns
from .processes import Responder, run_client
from .report import Effort, Row

__all__ = ["receive_rows"]


def receive_rows(effort: Effort, server: Responder) -> list[Row]:
    """How many more events our client takes per CPU second; each client in a fresh process, in turns."""
    count = effort.scaled(100_000)
    warm_up = effort.scaled(10_000)
    pairs = in_turns(
        lambda: float(run_client(server, "ours", count, warm_up)["cpu_us"]),
        lambda: float(run_client(server, "baseline", count, warm_up)["cpu_us"]),
        effort.rounds,
    )
    title = "events iterated per CPU second, against aiohttp and the obvious codec"
    return [Row.from_pairs("receive", title, pairs, unit="us", times_faster=4.0)]
