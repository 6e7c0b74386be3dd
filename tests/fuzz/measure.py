"""What an input costs, counted and not timed: calls of functions, and memory."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

from tests.fuzz.target import Target

__all__ = ["Spent", "check_cost", "spent", "stretched"]


class Spent(NamedTuple):
    """What one input has cost."""

    calls: int
    memory: int


def spent(target: Target, data: bytes) -> Spent:
    """Read *data*, and count. The input was read before, so that imports and caches do not count."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    target.run(data)
    gc.collect()
    was_tracing = tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    profiler = sys.getprofile()
    sys.setprofile(count)
    try:
        target.run(data)
    finally:
        sys.setprofile(profiler)
        peak = tracemalloc.get_traced_memory()[1]
        if not was_tracing:
            tracemalloc.stop()
    return Spent(calls, peak - before)


def check_cost(target: Target, data: bytes) -> None:
    """Fail if *data* costs more than its size explains."""
    cost, size = target.cost, len(data)
    calls, memory = spent(target, data)
    most = cost.calls + cost.calls_per_byte * size
    assert calls <= most, f"{size} bytes take {calls} calls, more than {most}"
    most = cost.memory + cost.memory_per_byte * size
    assert memory <= most, f"{size} bytes take {memory} bytes of memory, more than {most}"


def stretched(data: bytes, size: int) -> Iterator[bytes]:
    """*data*, made about *size* bytes long by repeating pieces of it: growth that is not linear shows at such sizes."""
    for start, end in (
        (0, len(data)),
        (0, 1),
        (len(data) // 4, 3 * len(data) // 4),
        (len(data) // 2, len(data) // 2 + 2),
    ):
        piece = data[start:end]
        if piece:
            yield data[:end] + piece * (size // len(piece)) + data[end:]
