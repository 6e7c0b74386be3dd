"""What an exchange costs: the engine alone, and links at rest: ``python -m benchmarks.exchange``."""

from __future__ import annotations

from typing import Final

from .machinery.command import main
from .machinery.runner import Measurement
from .rows import engine_orders, link_memory

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (engine_orders, link_memory)

if __name__ == "__main__":
    main("benchmarks.exchange", MEASUREMENTS)
