"""Distributions as text."""

from __future__ import annotations

import pytest

from cryptoproto.cli.histogram import LogAxis


def test_equal_steps_are_equal_ratios() -> None:
    axis = LogAxis(1.0, 10_000.0, steps=4)
    assert axis.histogram([2, 20, 200, 2_000]) == "\u2588\u2588\u2588\u2588"


def test_the_height_is_the_share_of_the_most_frequent_step() -> None:
    axis = LogAxis(1.0, 1_000.0, steps=3)
    assert axis.histogram([2] * 800 + [20] * 400 + [200]) == "\u2588\u2584\u2581"
    assert axis.histogram([2]) == "\u2588  "


def test_what_is_outside_counts_in_the_first_and_in_the_last_step() -> None:
    assert LogAxis(1.0, 100.0, steps=2).histogram([0.1, 1e9]) == "\u2588\u2588"


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([2.0], 2.0, 2.02), ([3.0, 1.0], 1.0, 3.0), ([*range(1, 2001)], 1, 1998), ([5.0, 5.0], 5.0, 5.05)],
)
def test_the_axis_leaves_out_the_highest_thousandth(values: list[float], low: float, high: float) -> None:
    axis = LogAxis.of(values)
    assert (axis.low, axis.high) == pytest.approx((low, high))
