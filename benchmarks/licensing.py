"""What the license manager adds to the bare cost of a request: ``python -m benchmarks.licensing``."""

from __future__ import annotations

from typing import Final

from .machinery.command import main
from .machinery.runner import Measurement
from .rows import licensing

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (licensing,)

if __name__ == "__main__":
    main("benchmarks.licensing", MEASUREMENTS)
