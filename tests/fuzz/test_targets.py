"""Every target: its seeds and corpus, inputs made up by chance, and what they cost. The same inputs in each run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.corpus import CORPUS, committed
from tests.fuzz.explore import explore
from tests.fuzz.measure import check_cost, stretched
from tests.fuzz.mutations import mutants
from tests.fuzz.registry import all_targets
from tests.fuzz.target import Target

pytestmark = pytest.mark.unmeasured

TARGETS = all_targets()
each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@each_target
def test_seeds_are_accepted(target: Target) -> None:
    accepted = [target.run(data) for data in target.seeds()]
    # Those of the others are meant to be refused, too: nobody can know the challenge of a handshake.
    assert any(accepted) or target.name == "handshake-server"


@each_target
def test_the_corpus_and_inputs_by_chance(target: Target) -> None:
    start = [*target.seeds(), *(path.read_bytes() for path in committed(target))]
    done = explore(target, start, seed=20_26, inputs=len(start) + target.in_suite)
    assert done.inputs == len(start) + target.in_suite


@each_target
def test_no_input_costs_more_than_its_size_explains(target: Target) -> None:
    seeds = list(target.seeds())
    for path in committed(target):
        check_cost(target, path.read_bytes())
    for data in seeds[:3]:
        check_cost(target, data)
        for longer in stretched(data, target.stretched_to):
            check_cost(target, longer)
    for data, _ in zip(mutants(seeds, target.words, target.longest, 7), range(5), strict=False):
        check_cost(target, data)


def test_the_corpus_is_small_and_belongs_to_targets() -> None:
    folders = {path.name for path in CORPUS.iterdir()} if CORPUS.is_dir() else set()
    assert folders <= TARGETS.keys()
    sizes = [path.stat().st_size for path in Path(CORPUS).rglob("*") if path.is_file()]
    assert sum(sizes) < 500_000
