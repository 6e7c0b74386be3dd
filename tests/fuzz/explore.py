"""Inputs made up by chance, one after the other, until one is a finding: what runs where atheris is not installed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import Final, NamedTuple

from tests.fuzz.mutations import mutants
from tests.fuzz.target import Target

__all__ = ["Explored", "FindingError", "explore"]

_AT_ONCE: Final = 256
_LONGEST_S: Final = 20
"""No input may keep a reader busy for so long. It only finds what does not end: costs are counted elsewhere."""


class FindingError(Exception):
    """An input that breaks a promise; the cause is the error."""

    def __init__(self, target: Target, data: bytes) -> None:
        super().__init__(target.name, data)
        self.target = target
        self.data = data

    def __str__(self) -> str:
        return (
            f"{self.target.name}: {type(self.__cause__).__name__}: {self.__cause__}\n"
            f"input ({len(self.data)} bytes): {self.data.hex()}\n"
            f"repeat it with: python -m tests.fuzz --target {self.target.name} --input {self.data.hex()}"
        )


class Explored(NamedTuple):
    """How many inputs were read, how many of them accepted, and how long it took."""

    inputs: int
    accepted: int
    seconds: float


def explore(
    target: Target,
    start: Sequence[bytes],
    *,
    seed: int,
    inputs: int | None = None,
    seconds: float = float("inf"),
    clock: Callable[[], float] = time.perf_counter,
) -> Explored:
    """Read what is in *start*, then inputs made from it, until there were so many or it took so long.

    Raises:
        FindingError: an input breaks a promise of the target.
    """
    begun = clock()
    count = accepted = 0
    for each in start:
        accepted += _run(target, each)
        count += 1
    made = mutants(start, target.words, target.longest, seed)
    while (inputs is None or count < inputs) and clock() - begun < seconds:
        size = _AT_ONCE if inputs is None else min(_AT_ONCE, inputs - count)
        with _deadline():
            for data in islice(made, size):
                accepted += _run(target, data)
        count += size
    return Explored(count, accepted, clock() - begun)


def _run(target: Target, data: bytes) -> bool:
    try:
        return target.run(data)
    except Exception as error:
        raise FindingError(target, data) from error


@contextmanager
def _deadline() -> Iterator[None]:
    """Turn an input that does not end into an exception; only in the main thread of a process."""

    def too_long(signum: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no end after {_LONGEST_S} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(_LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
