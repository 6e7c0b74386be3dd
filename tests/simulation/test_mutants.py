"""The simulation finds what it has to find: the code is changed in a way that matters, and a world fails.

Every third of them here. ``make mutants`` looks for the first seed that finds each.
"""

from __future__ import annotations

import pytest

from tests.support.simulation.mutants import MUTANTS, Mutant, mutated
from tests.support.simulation.plan import draw
from tests.support.simulation.run import simulate

pytestmark = pytest.mark.unmeasured


@pytest.mark.parametrize("mutant", MUTANTS[::3], ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_is_found(mutant: Mutant) -> None:
    plan = draw(mutant.seed)
    with mutated(mutant):
        assert simulate(plan).failure is not None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_changes_the_code_as_it_is_today(mutant: Mutant) -> None:
    with mutated(mutant):
        pass
