"""How soon a browser shows what happened: ``python -m benchmarks.status_browser``. It needs playwright and chromium."""

from __future__ import annotations

from typing import Final

from .machinery.command import main
from .machinery.runner import Measurement
from .rows import status_browser

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (status_browser,)

if __name__ == "__main__":
    main("benchmarks.status_browser", MEASUREMENTS)
