"""What a process holds, sampled over time, and how fast it grows."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["WARM_UP", "Series", "handles", "memory_mib"]

WARM_UP: Final = 0.5
"""The part of a run that the slope leaves out: caches fill, and the allocator keeps what it once had."""


def memory_mib(pid: int | None = None) -> float:
    """The memory of a process that is not shared with others, in MiB; Linux."""
    resident, shared = Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1:3]
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 2**20


def handles(pid: int | None = None) -> int:
    """How many files and sockets a process has open; Linux."""
    return len(os.listdir(f"/proc/{pid or 'self'}/fd"))


@dataclass
class Series:
    """Samples of one quantity.

    Attributes:
        name: what it is.
        unit: of its values, empty for a number of things.
        seconds, values: when each was taken, and what it was.
    """

    name: str
    unit: str
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, second: float, value: float) -> None:
        self.seconds.append(second)
        self.values.append(value)

    def slope(self) -> float:
        """Growth an hour after the warm-up, by least squares."""
        start = int(len(self.seconds) * WARM_UP)
        seconds, values = self.seconds[start:], self.values[start:]
        if len(seconds) < 2:
            return 0.0
        middle, mean = sum(seconds) / len(seconds), sum(values) / len(values)
        spread = sum((second - middle) ** 2 for second in seconds)
        pairs = zip(seconds, values, strict=True)
        return 3600 * sum((second - middle) * (value - mean) for second, value in pairs) / spread

    def as_dict(self) -> dict[str, object]:
        """The figures of the summary."""
        return {
            "unit": self.unit,
            "first": round(self.values[0], 2),
            "last": round(self.values[-1], 2),
            "highest": round(max(self.values), 2),
            "slope an hour": round(self.slope(), 3),
        }
