"""What an event costs ``Client`` with ``SqliteStore(history=True)``, against one without history."""

from __future__ import annotations

from typing import Final

from ..machinery.client_cost import turns
from ..machinery.effort import Effort
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5


def rows(effort: Effort) -> list[Row]:
    """The cost of the history."""
    title = "an event of Client with SqliteStore and history, against one without history"
    return [Row.from_pairs("client-history", title, turns(effort, "history", "sqlite"), unit="us", at_most=1.25)]
