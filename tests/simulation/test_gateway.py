"""Worlds in which gateways share a session over a simulated NATS: one owner at a time, and each command once."""

from __future__ import annotations

import os

import pytest

from tests.support.simulation.command import report
from tests.support.simulation.gateway_mutants import GATEWAY_MUTANTS
from tests.support.simulation.mutants import Mutant, mutated
from tests.support.simulation.plan import draw_with_gateways
from tests.support.simulation.run import Result, simulate
from tests.support.simulation.shrinker import shrink

pytestmark = pytest.mark.unmeasured

SEEDS = int(os.environ.get("SEEDS", "40"))
BLOCKS = 4


@pytest.mark.parametrize("block", range(BLOCKS))
def test_worlds_with_gateways(block: int) -> None:
    results: list[Result] = []
    for seed in range(block * SEEDS // BLOCKS, (block + 1) * SEEDS // BLOCKS):
        plan = draw_with_gateways(seed)
        result = simulate(plan)
        if result.failure is not None:
            kept, shortest = shrink(plan)
            pytest.fail(f"{report(result)}\n{len(kept)} faults are enough:\n\n{report(shortest, kept)}", pytrace=False)
        results.append(result)
    # The worlds are worth looking at: owners change, and commands are carried out.
    assert sum(result.takeovers for result in results) > 2 * len(results)
    assert sum(result.commands for result in results) > 10 * len(results)


@pytest.mark.parametrize("mutant", GATEWAY_MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_of_the_gateway_is_found(mutant: Mutant) -> None:
    with mutated(mutant):
        assert simulate(draw_with_gateways(mutant.seed)).failure is not None


def test_a_world_with_gateways_is_the_same_each_time() -> None:
    plan = draw_with_gateways(3)
    assert simulate(plan).digest == simulate(plan).digest
