"""The sorted set of prices."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from cryptoproto.exchange.ladder import Ladder


@settings(max_examples=25)
@given(st.lists(st.integers(-3000, 3000), max_size=40), st.integers().map(random.Random))
def test_the_ladder_is_a_sorted_set(keys: list[int], choice: random.Random) -> None:
    ladder, model = Ladder(), set[int]()
    for key in keys:
        # runs of neighbours, so that it is long enough to be split
        for near in range(key, key + 200):
            if near not in model:
                ladder.add(near)
                model.add(near)
    assert list(ladder) == sorted(model)
    leaving = sorted(model)
    choice.shuffle(leaving)
    for key in leaving[: len(leaving) * 2 // 3]:
        ladder.remove(key)
        model.remove(key)
        if key % 50 == 0:
            assert ladder.lowest == min(model)
    assert list(ladder) == sorted(model)


def test_an_empty_ladder_starts_again() -> None:
    ladder = Ladder()
    assert ladder.lowest is None
    ladder.add(5)
    ladder.remove(5)
    assert ladder.lowest is None
    ladder.add(7)
    assert list(ladder) == [7]
