"""Makes the plan of a failing world short: the fewest faults with which it still fails."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.simulation.plan import Plan
from tests.support.simulation.run import Result, simulate

__all__ = ["shrink"]


def shrink(plan: Plan, run: Callable[[Plan], Result] = simulate) -> tuple[list[int], Result]:
    """The places of the faults that are needed, and the result with them alone.

    Half of the faults are left out first, then smaller groups, and at last single ones, until all are needed. A world
    that fails in another way counts, too: it is a failure all the same.
    """
    kept = list(range(len(plan.faults)))
    best = run(plan)
    size = max(1, len(kept) // 2)
    while kept:
        for start in range(0, len(kept), size):
            fewer = kept[:start] + kept[start + size :]
            result = run(plan.keeping(fewer))
            if result.failure is not None:
                kept, best = fewer, result
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
    return kept, best
