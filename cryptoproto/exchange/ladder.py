"""A sorted set of integers for the prices of a book: lowest first, in short runs so that no update moves many."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

__all__ = ["Ladder"]

# An insertion moves a run in memory; 512 pointers are 4 KiB, which costs less than any other step of placing an order.
_RUN: Final = 512


class Ladder:
    """A sorted set of integers. Adding and removing cost the same for ten members and for a million."""

    __slots__ = ("_lows", "_runs")

    def __init__(self) -> None:
        self._runs: list[list[int]] = []
        self._lows: list[int] = []  # the lowest of each run

    def add(self, key: int) -> None:
        """Add *key*, which must not be a member."""
        if not self._runs:
            self._runs.append([key])
            self._lows.append(key)
            return
        index = max(bisect_left(self._lows, key) - 1, 0)
        run = self._runs[index]
        insort(run, key)
        if len(run) > 2 * _RUN:
            self._runs.insert(index + 1, run[_RUN:])
            self._lows.insert(index + 1, run[_RUN])
            del run[_RUN:]
        self._lows[index] = run[0]

    def remove(self, key: int) -> None:
        """Remove *key*, which must be a member."""
        index = bisect_left(self._lows, key)
        if index == len(self._lows) or self._lows[index] != key:
            index -= 1
        run = self._runs[index]
        del run[bisect_left(run, key)]
        if run:
            self._lows[index] = run[0]
        else:
            del self._runs[index], self._lows[index]

    @property
    def lowest(self) -> int | None:
        """The lowest member, ``None`` if there is none."""
        return self._lows[0] if self._lows else None

    def __iter__(self) -> Iterator[int]:
        for run in self._runs:
            yield from run
