"""How things are measured: ours and the floor take turns; the result is the median of the ratios of all rounds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["Pair", "compare", "cpu_ns_per_item", "in_turns", "medians", "seconds", "without_gc"]

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
    """Measure both *rounds* times, one after the other; which one is first alternates."""
    pairs: list[Pair] = []
    for number in range(rounds):
        if number % 2:
            second, first = other(), ours()
            pairs.append((first, second))
        else:
            pairs.append((ours(), other()))
    return pairs


def cpu_ns_per_item(block: Callable[[], None], items: int, blocks: int) -> float:
    """The CPU nanoseconds of one item of *block*, which handles *items*: the best of *blocks* runs.

    CPU time, because other programs may run on the same cores. The best, because a disturbance of a block of a few
    milliseconds can only make it slower.
    """
    best = float("inf")
    for _ in range(blocks):
        start = time.thread_time_ns()
        block()
        best = min(best, time.thread_time_ns() - start)
    return best / items


@contextmanager
def without_gc() -> Iterator[None]:
    """Turn garbage collection off: for blocks that are much shorter than the time between two collections."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def compare(ours: Callable[[], None], other: Callable[[], None], *, items: int, blocks: int, rounds: int) -> list[Pair]:
    """CPU nanoseconds of an item of both blocks, in turns, without garbage collection."""
    with without_gc():
        ours()
        other()
        return in_turns(
            lambda: cpu_ns_per_item(ours, items, blocks), lambda: cpu_ns_per_item(other, items, blocks), rounds
        )


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """The seconds by the clock that *work* takes, on average over *times* calls."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times
