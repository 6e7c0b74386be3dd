"""How long clients wait before they come back."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp


def test_delays_grow_to_the_cap_and_begin_anew_after_a_reset() -> None:
    backoff = cp.Backoff(0.5, 5.0, 2.0, random=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert (backoff.attempts, backoff.ceiling, backoff.cap) == (6, 5.0, 5.0)
    backoff.reset()
    assert (backoff.attempts, backoff.ceiling) == (0, 0.5)
    assert backoff.next_delay() == 0.5


def test_jitter_is_full() -> None:
    draws = iter([0.0, 0.25, 0.999])
    backoff = cp.Backoff(1.0, 60.0, 3.0, random=lambda: next(draws))
    assert [backoff.next_delay() for _ in range(3)] == [0.0, 0.75, pytest.approx(8.991)]


def test_the_same_seed_gives_the_same_delays() -> None:
    one, other = (cp.Backoff(random=random.Random(7).random) for _ in range(2))
    assert [one.next_delay() for _ in range(20)] == [other.next_delay() for _ in range(20)]


def test_clients_cut_off_together_do_not_come_back_together() -> None:
    assert len({cp.Backoff().next_delay() for _ in range(100)}) > 90


@given(
    initial=st.floats(0.001, 10),
    more=st.floats(0, 1000),
    factor=st.floats(1, 1e6),
    seed=st.integers(),
    attempts=st.integers(1, 500),
)
def test_no_delay_is_negative_or_beyond_its_ceiling(
    initial: float, more: float, factor: float, seed: int, attempts: int
) -> None:
    backoff = cp.Backoff(initial, initial + more, factor, random=random.Random(seed).random)
    for _ in range(attempts):
        ceiling = backoff.ceiling
        assert initial <= ceiling <= backoff.cap
        assert 0 <= backoff.next_delay() <= ceiling
    assert backoff.attempts == attempts


@pytest.mark.parametrize(
    "options",
    [
        {"initial": 0},
        {"initial": -1},
        {"cap": 1, "initial": 2},
        {"factor": 0.5},
        {"cap": math.inf},
        {"factor": math.nan},
        {"initial": math.nan},
    ],
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(cp.ConfigurationError, match=next(iter(options))):
        cp.Backoff(**options)  # type: ignore[arg-type]


def test_repr_shows_the_progress() -> None:
    backoff = cp.Backoff(0.5, random=lambda: 0.0)
    backoff.next_delay()
    assert repr(backoff) == "<Backoff attempts=1, next delay up to 1 s>"
