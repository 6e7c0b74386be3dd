"""How the cost of an event of a bare ``Connection`` changes with the number of events: see ``client_memory``."""

from __future__ import annotations

from typing import Final

from ..machinery.client_cost import growth
from ..machinery.effort import Effort
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 3


def rows(effort: Effort) -> list[Row]:
    """The growth that the rows of the clients include."""
    count, grown = growth(effort, "connection", effort.rounds)
    return [Row.from_pairs("client-bare", f"Connection over {count:,} events, against a tenth", grown, unit="us")]
