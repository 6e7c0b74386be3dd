"""A distribution of durations as one line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

__all__ = ["LogAxis"]

_BLOCKS: Final = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


@dataclass(frozen=True)
class LogAxis:
    """A logarithmic axis that several histograms share, so that they can be compared.

    Attributes:
        low: where it begins; above 0.
        high: where it ends; the last step also has what is higher.
        steps: how many characters a histogram has.
    """

    low: float
    high: float
    steps: int = 11

    @classmethod
    def of(cls, values: Sequence[float], steps: int = 11) -> Self:
        """The axis that shows *values*, but for the highest thousandth, which would press the rest together.

        *values* are above 0 and at least one.
        """
        ordered = sorted(values)
        low = ordered[0]
        high = ordered[math.ceil(len(ordered) * 0.999) - 1]
        return cls(low, max(high, low * 1.01), steps)

    def histogram(self, values: Sequence[float]) -> str:
        """One character for each step of the axis: the higher, the more of *values* are there."""
        counts = [0] * self.steps
        width = math.log(self.high / self.low) / self.steps
        for value in values:
            counts[min(self.steps - 1, max(0, int(math.log(value / self.low) / width)))] += 1
        most = max(counts)
        return "".join(_BLOCKS[math.ceil(count * len(_BLOCKS) / most) - 1] if count else " " for count in counts)
