"""The measurements that ``python -m benchmarks`` runs, in the order of their rows."""

from __future__ import annotations

from typing import Final

from .machinery.runner import Measurement
from .rows import (
    client_bare,
    client_history,
    client_memory,
    client_orders,
    client_sqlite,
    decode,
    encode,
    in_flight,
    memory,
    prepared,
    receive,
    recording,
    round_trip,
    start_up,
    status_page,
    store_commits,
    tail_events,
    tail_place,
)

__all__ = ["MEASUREMENTS"]

MEASUREMENTS: Final[tuple[Measurement, ...]] = (
    decode,
    encode,
    receive,
    round_trip,
    in_flight,
    prepared,
    memory,
    client_memory,
    client_sqlite,
    client_history,
    client_bare,
    client_orders,
    status_page,
    recording,
    store_commits,
    tail_place,
    tail_events,
    start_up,
)
