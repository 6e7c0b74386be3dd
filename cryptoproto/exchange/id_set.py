"""A set of 64-bit integers in nine bytes each, for the client order ids that an exchange never forgets.

Python's own set takes a hundred bytes for each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["IdSet"]

_RUN: Final = 1024  # an insertion moves at most this many
_BELOW_ALL: Final = -(2**63) - 1


class IdSet:
    """A sorted set of 64-bit integers, in short runs. Ids that grow, as those of most clients do, are only appended."""

    __slots__ = ("_highest", "_lows", "_runs")

    def __init__(self) -> None:
        self._highest: int = _BELOW_ALL
        self._runs: list[array[int]] = []
        self._lows: list[int] = []  # the lowest of each run

    def __contains__(self, number: int) -> bool:
        if number > self._highest:
            return False
        index = bisect_right(self._lows, number) - 1
        if index < 0:
            return False
        run = self._runs[index]
        place = bisect_left(run, number)
        return place < len(run) and run[place] == number

    def __iter__(self) -> Iterator[int]:
        """The members, lowest first."""
        for run in self._runs:
            yield from run

    def add(self, number: int) -> None:
        """Add *number*.

        Raises:
            OverflowError: it does not fit into 64 bits.
        """
        if number > self._highest or not self._runs:
            if self._runs and len(self._runs[-1]) < _RUN:
                self._runs[-1].append(number)
            else:
                self._runs.append(array("q", (number,)))
                self._lows.append(number)
            self._highest = number
        elif number not in self:
            self._insert(number)

    def _insert(self, number: int) -> None:
        index = max(bisect_right(self._lows, number) - 1, 0)
        run = self._runs[index]
        run.insert(bisect_left(run, number), number)
        self._lows[index] = run[0]
        if len(run) > _RUN:
            middle = len(run) // 2
            self._runs[index : index + 1] = [run[:middle], run[middle:]]
            self._lows.insert(index + 1, run[middle])

    def update(self, numbers: Iterable[int]) -> None:
        """Add *numbers*.

        Raises:
            OverflowError: one of them does not fit into 64 bits.
        """
        for number in sorted(numbers):  # in this order, they are appended to an empty set
            self.add(number)
