"""What an event costs a client with a given store, measured in fresh processes."""

from __future__ import annotations

from functools import partial

from .effort import Effort
from .measure import Pair, in_turns
from .processes import run_client
from .samples import ORDER_EVENTS

__all__ = ["CLIENT_CONSUMER", "growth", "turns", "turns_against_connection", "whole_orders"]

CLIENT_CONSUMER = "benchmarks.machinery.client_consumer"

_COUNT = 120_000
_WARM_UP = 12_000


def turns_against_connection(effort: Effort, kind: str) -> list[Pair]:
    """CPU microseconds of an event with *kind* of client, and of a bare connection, in turns."""
    return turns(effort, kind, "connection")


def turns(effort: Effort, kind: str, other: str) -> list[Pair]:
    """CPU microseconds of an event with *kind* of client, and with the *other* kind, in turns.

    The runs are short and many: each is a new process, and the machine's load changes from one to the next.
    """
    count = whole_orders(effort.scaled(_COUNT) // 4)
    return in_turns(
        partial(_cpu_us, effort, kind, count),
        partial(_cpu_us, effort, other, count),
        effort.rounds * effort.repeated(4),
    )


def growth(effort: Effort, kind: str, rounds: int) -> tuple[int, list[Pair]]:
    """How many events the long run has, and the CPU microseconds of an event in it and in one a tenth as long."""
    count = whole_orders(effort.scaled(_COUNT))
    few = whole_orders(count // 10)
    return count, in_turns(partial(_cpu_us, effort, kind, count), partial(_cpu_us, effort, kind, few), rounds)


def _cpu_us(effort: Effort, kind: str, events: int) -> float:
    warm_up = whole_orders(effort.scaled(_WARM_UP))
    return float(run_client(effort.responder, kind, events, warm_up, module=CLIENT_CONSUMER)["cpu_us"])


def whole_orders(events: int) -> int:
    """The number of events nearest to *events* that ends with the end of an order."""
    return max(1, round(events / ORDER_EVENTS)) * ORDER_EVENTS
