"""The run of some or all measurements."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Protocol

from .effort import Effort
from .processes import responder
from .report import Row

__all__ = ["Measurement", "chosen", "name_of", "run"]


class Measurement(Protocol):
    """A module of ``benchmarks.rows``."""

    @property
    def __name__(self) -> str: ...

    @property
    def ROUNDS(self) -> int:  # noqa: N802  (a constant of the module)
        """The default number of rounds."""

    def rows(self, effort: Effort, /) -> list[Row]:
        """Measure."""


class Module(Protocol):
    """Any module."""

    @property
    def __name__(self) -> str: ...


def name_of(measurement: Module) -> str:
    """The name of the measurement, which is that of its file and of its first row."""
    return measurement.__name__.rpartition(".")[2].replace("_", "-")


def chosen(measurements: Sequence[Measurement], name: str) -> list[Measurement]:
    """The measurements called *name*, or whose name starts with it and a dash: ``client`` chooses all ``client-…``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    found = [each for each in measurements if f"{name_of(each)}-".startswith(f"{name}-")]
    if not found:
        raise ValueError(f"there is no benchmark {name!r}; choose one of {', '.join(map(name_of, measurements))}")
    return found


def run(
    measurements: Sequence[Measurement],
    *,
    rounds: int | None = None,
    quick: bool = False,
    uvloop: bool = False,
    progress: Callable[[str], None] = lambda name: None,
) -> list[Row]:
    """Measure.

    Args:
        measurements: modules of ``benchmarks.rows``.
        rounds: how many rounds each of them takes; by default its own number.
        quick: do a thousandth of the work: shows that everything runs, but the numbers mean nothing.
        uvloop: run the event loops of all processes on uvloop.
        progress: called with the name of each measurement when it starts.
    """
    rows: list[Row] = []
    with ExitStack() as exits:
        # Started by the first measurement that needs it, and then shared.
        start = functools.cache(lambda: exits.enter_context(responder(uvloop=uvloop)))
        for measurement in measurements:
            progress(name_of(measurement))
            rows += measurement.rows(Effort(rounds or (1 if quick else measurement.ROUNDS), quick, start))
    return rows
