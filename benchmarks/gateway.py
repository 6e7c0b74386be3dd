"""What a session costs that is shared over NATS, and how long a takeover takes: ``python -m benchmarks.gateway``."""

from __future__ import annotations

from typing import Final

from .machinery.command import main
from .machinery.runner import Measurement
from .rows import gateway_events, gateway_orders, gateway_takeover

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (gateway_takeover, gateway_orders, gateway_events)

if __name__ == "__main__":
    main("benchmarks.gateway", MEASUREMENTS)
