"""What an event costs ``Client`` with ``SqliteStore``, against a bare ``Connection``: see ``client_memory``."""

from __future__ import annotations

from typing import Final

from ..machinery.client_cost import growth, turns_against_connection
from ..machinery.effort import Effort
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5


def rows(effort: Effort) -> list[Row]:
    """The cost, and how it changes with ten times as many events."""
    pairs = turns_against_connection(effort, "sqlite")
    count, grown = growth(effort, "sqlite", effort.rounds)
    title = "CPU of an event of Client with SqliteStore, against a bare Connection"
    return [
        Row.from_pairs("client-sqlite", title, pairs, unit="us", at_most=1.25),
        Row.from_pairs(
            "client-sqlite-growth", f"the same over {count:,} events, against a tenth of them", grown, unit="us"
        ),
    ]
