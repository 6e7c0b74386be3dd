"""What a flood of handshakes costs a connected trader: ``python -m benchmarks.handshakes``."""

from __future__ import annotations

from typing import Final

from .machinery.command import main
from .machinery.runner import Measurement
from .rows import handshakes

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (handshakes,)

if __name__ == "__main__":
    main("benchmarks.handshakes", MEASUREMENTS)
