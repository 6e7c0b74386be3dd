"""What an event costs ``Client`` with ``MemoryStore``, against a bare ``Connection``.

The events are those of orders that rest, are filled and are closed, six for each order. The client keeps its order
table, its balances and its position up to date.
"""

from __future__ import annotations

from typing import Final

from ..machinery.client_cost import growth, turns_against_connection
from ..machinery.effort import Effort
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5


def rows(effort: Effort) -> list[Row]:
    """The cost, and how it changes with ten times as many events."""
    pairs = turns_against_connection(effort, "memory")
    count, grown = growth(effort, "memory", effort.rounds)
    title = "CPU of an event of Client with MemoryStore, against a bare Connection"
    return [
        Row.from_pairs("client-memory", title, pairs, unit="us", at_most=1.25),
        Row.from_pairs(
            "client-memory-growth", f"the same over {count:,} events, against a tenth of them", grown, unit="us"
        ),
    ]
