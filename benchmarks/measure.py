"""How things are measured: ours and the floor in turns, a ratio for each round, the median of the rounds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["Pair", "cpu_ns_per_item", "in_turns", "medians", "without_gc"]

Pair: TypeAlias = tuple[float, float]
"""What one round measured: ours, and what it is compared with."""


def medians(rounds: list[Pair]) -> tuple[float, float, float]:
    """The median of ours, of the other, and of the ratios of the rounds (not the ratio of the medians)."""
    return (
        statistics.median(ours for ours, _ in rounds),
        statistics.median(other for _, other in rounds),
        statistics.median(ours / other for ours, other in rounds),
    )


def in_turns(ours: Callable[[], float], other: Callable[[], float], rounds: int) -> list[Pair]:
    """Measure both *rounds* times, one after the other; who goes first changes from round to round."""
    pairs: list[Pair] = []
    for number in range(rounds):
        if number % 2:
            second, first = other(), ours()
            pairs.append((first, second))
        else:
            pairs.append((ours(), other()))
    return pairs


def cpu_ns_per_item(block: Callable[[], None], items: int, blocks: int) -> float:
    """The CPU nanoseconds of one item of *block*, which handles *items*: the best of *blocks*.

    CPU time rather than the clock, because other programs may run on the same cores; the best, because whatever
    disturbs a block of a few milliseconds can only make it slower.
    """
    best = float("inf")
    for _ in range(blocks):
        start = time.thread_time_ns()
        block()
        best = min(best, time.thread_time_ns() - start)
    return best / items


@contextmanager
def without_gc() -> Iterator[None]:
    """No garbage collection in between: for blocks that are much shorter than its period."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
