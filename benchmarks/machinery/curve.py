"""A curve of the report: how a cost grows with work, or how latencies are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

from .effort import Effort

__all__ = ["PERCENTILES", "Bars", "Curve", "Drawing", "Role", "Series", "Study", "distribution"]

Role: TypeAlias = Literal["ours", "peer", "floor"]
"""Ours; what others use for the same work; or a part of the work that nobody can leave out."""

PERCENTILES: Final = (0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95, 99.99)
"""Where distributions are drawn."""
_LEAST_BEYOND: Final = 3
"""How many samples must lie beyond a percentile, so that one outlier does not decide it."""


@dataclass(frozen=True)
class Series:
    """A line of a curve.

    Attributes:
        name: for the legend.
        role: decides how it is drawn.
        points: x and y, by x.
    """

    name: str
    role: Role
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """Lines over an axis.

    Attributes:
        name: of the files; starts with the name of the module in ``benchmarks/curves``.
        title: what is measured.
        reading: what the plot shows, and how it was measured.
        x: label of the x axis.
        y: label of the y axis, with the unit.
        series: the lines.
        axis: ``"work"`` grows by tens; ``"percentile"`` spreads the tail; ``"time"`` is linear.
        from_zero: whether y is linear and begins at 0, instead of logarithmic.
    """

    name: str
    title: str
    reading: str
    x: str
    y: str
    series: list[Series]
    axis: Literal["work", "percentile", "time"] = "work"
    from_zero: bool = False


@dataclass(frozen=True)
class Bars:
    """A bar for each thing.

    Attributes:
        name: of the files.
        title: what is measured.
        reading: what the plot shows, and how it was measured.
        y: label of the axis, with the unit.
        bars: name, role and length of each.
    """

    name: str
    title: str
    reading: str
    y: str
    bars: list[tuple[str, Role, float]]


Drawing: TypeAlias = Curve | Bars


class Study(Protocol):
    """A module of ``benchmarks.curves``."""

    @property
    def __name__(self) -> str: ...

    def drawings(self, effort: Effort, /) -> list[Drawing]:
        """Measure."""


def distribution(samples: Sequence[float]) -> list[tuple[float, float]]:
    """The percentiles of *samples*, as far as there are enough of them."""
    ordered = sorted(samples)
    most = len(ordered)
    return [
        (percentile, ordered[min(most - 1, int(most * percentile / 100))])
        for percentile in PERCENTILES
        if most * (100 - percentile) / 100 >= min(_LEAST_BEYOND, most)
    ]
