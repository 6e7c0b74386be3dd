"""``python -m benchmarks [--only NAME] [--rounds N] [--quick] [--json] [--uvloop]``."""

from __future__ import annotations

from .machinery.command import main
from .suite import MEASUREMENTS

if __name__ == "__main__":
    main("benchmarks", MEASUREMENTS, uvloop=True)
