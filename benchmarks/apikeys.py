"""What signing requests and logging in cost: ``python -m benchmarks.apikeys``."""

from __future__ import annotations

from typing import Final

from .machinery.command import main
from .machinery.runner import Measurement
from .rows import apikeys_login, apikeys_power, apikeys_requests, apikeys_signing

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (apikeys_signing, apikeys_power, apikeys_login, apikeys_requests)

if __name__ == "__main__":
    main("benchmarks.apikeys", MEASUREMENTS)
