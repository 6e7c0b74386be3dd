"""Whole worlds, one for each seed: nothing is lost, nothing happens twice, and whatever is said is true."""

from __future__ import annotations

import os

import pytest

from tests.support.simulation.command import report
from tests.support.simulation.plan import draw
from tests.support.simulation.run import Result, simulate
from tests.support.simulation.shrinker import shrink

pytestmark = pytest.mark.unmeasured

SEEDS = int(os.environ.get("SEEDS", "400"))
BLOCKS = 8


@pytest.mark.parametrize("block", range(BLOCKS))
def test_worlds(block: int) -> None:
    results: list[Result] = []
    for seed in range(block * SEEDS // BLOCKS, (block + 1) * SEEDS // BLOCKS):
        plan = draw(seed)
        result = simulate(plan)
        if result.failure is not None:
            kept, shortest = shrink(plan)
            pytest.fail(f"{report(result)}\n{len(kept)} faults are enough:\n\n{report(shortest, kept)}", pytrace=False)
        results.append(result)
    # The worlds are worth looking at: there is trade, and links do break.
    assert sum(result.calls for result in results) > 20 * len(results)
    assert sum(result.events for result in results) > 50 * len(results)
    assert sum(result.connections for result in results) > 5 * len(results)
