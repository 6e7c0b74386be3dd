"""What the exchange's journal costs, and how long a restart takes: ``python -m benchmarks.journal``."""

from __future__ import annotations

from typing import Final

from .machinery.command import main
from .machinery.runner import Measurement
from .rows import journal_orders, journal_restart

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (journal_orders, journal_restart)

if __name__ == "__main__":
    main("benchmarks.journal", MEASUREMENTS)
