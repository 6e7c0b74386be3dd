"""What is fuzzed: a reader of bytes, the errors that it documents, and what must be true of its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["BIG_NUMBERS", "Cost", "Target"]

BIG_NUMBERS = 4608
"""Bytes of an input that has room for a number of more digits than Python converts by itself, which are 4,300."""


def _nothing(*_: object) -> None:
    """No further check."""


@dataclass(frozen=True)
class Cost:
    """What an input may cost: so much, and so much more for each byte.

    Calls are those of functions in Python and C that the interpreter makes. Memory is the peak of what Python
    allocates while the input is read.
    """

    calls: int = 2_000
    calls_per_byte: int = 40
    memory: int = 400_000
    memory_per_byte: int = 400


@dataclass(frozen=True)
class Target:
    """One reader of bytes that others send or write.

    Attributes:
        name: what the command line calls it; its corpus is in the folder of the same name.
        read: reads an input; the check of its results starts with what it returns.
        refuses: the errors that it documents. Any other error is a finding.
        seeds: valid inputs, to start from.
        check: called with an accepted input and the result; raises if they do not fit together.
        check_refused: called with a refused input; raises if it should have been accepted.
        words: what inputs of this kind are made of.
        longest: bytes of the longest input that is made up.
        cost: the most that an input may cost.
        in_suite: how many made-up inputs the ordinary suite reads.
        stretched_to: bytes of the longest input that the ordinary suite counts the cost of.
    """

    name: str
    read: Callable[[bytes], Any]
    refuses: tuple[type[Exception], ...]
    seeds: Callable[[], Iterable[bytes]]
    check: Callable[[bytes, Any], None] = _nothing
    check_refused: Callable[[bytes], None] = _nothing
    words: tuple[bytes, ...] = ()
    longest: int = 2048
    cost: Cost = field(default_factory=Cost)
    in_suite: int = 1000
    stretched_to: int = 16_384

    def run(self, data: bytes) -> bool:
        """Read one input; returns whether it was accepted.

        Raises:
            Exception: a finding: an error that is not documented, or a result that is wrong.
        """
        try:
            result = self.read(data)
        except self.refuses:
            self.check_refused(data)
            return False
        self.check(data, result)
        return True
