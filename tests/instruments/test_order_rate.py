"""At most so many orders in any second."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.instruments import OrderRate

# Eighths of a second are exact in binary, so that the naive count does not differ by rounding.
TIMES = st.lists(st.integers(0, 40).map(lambda eighths: eighths / 8), max_size=60).map(sorted)


@given(st.integers(1, 5), TIMES)
def test_no_second_has_more_orders_than_the_limit(limit: int, times: list[float]) -> None:
    rate = OrderRate(limit)
    placed: list[float] = []
    for now in times:
        recent = [time for time in placed if time > now - 1]
        if len(recent) < limit:
            rate.count(now)
            placed.append(now)
        else:
            with pytest.raises(cp.OrderInvalid, match=rf"max_orders_per_second={limit}; try again in"):
                rate.count(now)


def test_the_error_says_when_an_order_is_possible() -> None:
    rate = OrderRate(2)
    rate.count(10.0)
    rate.count(10.25)
    with pytest.raises(cp.OrderInvalid, match=r"2 orders were placed within the last second, .* in 0.500 s, or raise"):
        rate.count(10.5)
    rate.count(11.0)


def test_without_a_limit_everything_is_allowed() -> None:
    rate = OrderRate(None)
    for _ in range(100):
        rate.count(0.0)
