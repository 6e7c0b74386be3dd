"""A set of client order ids: it behaves as a set, and takes a fraction of the memory."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoproto.exchange import id_set
from cryptoproto.exchange.id_set import IdSet

LOWEST, HIGHEST = -(2**63), 2**63 - 1
ids = st.one_of(st.integers(-20, 20), st.sampled_from([LOWEST, LOWEST + 1, HIGHEST - 1, HIGHEST]))


@settings(deadline=None)
@given(st.lists(st.one_of(ids, st.lists(ids, max_size=12))))
def test_it_behaves_as_a_set(steps: list[int | list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(id_set, "_RUN", 4)
        tested, model = IdSet(), set[int]()
        for step in steps:
            if isinstance(step, int):
                tested.add(step)
                model.add(step)
            else:
                tested.update(step)
                model.update(step)
            assert list(tested) == sorted(model)
            assert all((number in tested) == (number in model) for number in range(-21, 22))
            assert (LOWEST in tested) == (LOWEST in model)
            assert (HIGHEST in tested) == (HIGHEST in model)
            assert all(len(run) <= 4 for run in tested._runs)


def growing(count: int) -> list[int]:
    return [900_000_000_000_000_000 + 32 * number for number in range(count)]


def scattered(count: int) -> list[int]:
    choice = random.Random(count)
    return [choice.randint(LOWEST, HIGHEST) for _ in range(count)]


@pytest.mark.parametrize(("draw", "most"), [(growing, 10), (scattered, 16)], ids=["growing", "scattered"])
def test_the_bytes_of_an_id(draw: Callable[[int], list[int]], most: int) -> None:
    numbers = draw(20_000)
    tracemalloc.start()
    try:
        tested = IdSet()
        for number in numbers:
            tested.add(number)
        assert tracemalloc.get_traced_memory()[0] / len(numbers) < most
    finally:
        tracemalloc.stop()
    assert all(number in tested for number in numbers)
    assert list(tested) == sorted(numbers)


@pytest.mark.parametrize("number", [LOWEST - 1, HIGHEST + 1])
def test_a_number_that_does_not_fit(number: int) -> None:
    tested = IdSet()
    tested.add(5)
    with pytest.raises(OverflowError):
        tested.add(number)
    with pytest.raises(OverflowError):
        IdSet().update([number])
    assert list(tested) == [5]
    assert number not in tested
