"""Costs are counted, so what is slow or greedy is found without a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fuzz.measure import check_cost, spent, stretched
from tests.fuzz.target import Target

pytestmark = pytest.mark.unmeasured


def reading(read: Callable[[bytes], Any]) -> Target:
    return Target("measured", read, (ValueError,), lambda: ())


def quadratic(data: bytes) -> int:
    return sum(data.count(data[at : at + 1]) for _ in data[::10] for at in range(len(data)))


def declared(data: bytes) -> int:
    """Believes the length that the input declares."""
    return len(bytearray(int.from_bytes(data[:4], "big")))


def test_calls_are_counted() -> None:
    one, ten = (spent(reading(lambda data: [len(data) for _ in data]), b"x" * size).calls for size in (1, 10))
    assert ten - one == 18  # each is a call and a return


def test_time_that_grows_with_the_square_is_found() -> None:
    target = reading(quadratic)
    check_cost(target, b"ab")
    longer = next(stretched(b"ab", 1_000))
    with pytest.raises(AssertionError, match="calls, more than"):
        check_cost(target, longer)


def test_memory_for_a_declared_length_is_found() -> None:
    target = reading(declared)
    check_cost(target, b"\0\0\0\1")
    with pytest.raises(AssertionError, match="bytes of memory, more than"):
        check_cost(target, b"\0\x40\0\0")


def test_refused_inputs_cost_as_well() -> None:
    def refusing(data: bytes) -> None:
        quadratic(data)
        raise ValueError

    with pytest.raises(AssertionError, match="calls, more than"):
        check_cost(reading(refusing), b"a" * 1_000)


def test_stretched_inputs_are_as_long_as_asked() -> None:
    assert all(990 <= len(data) <= 1100 for data in stretched(b"abcdefgh", 1000))
    assert list(stretched(b"", 1000)) == []
