"""How fast cryptoproto is, in ratios that one machine measures in one run: ``python -m benchmarks``."""

from __future__ import annotations

from .report import Row
from .suite import NAMES, run

__all__ = ["NAMES", "Row", "run"]
