"""How much memory of a connection a million events leave occupied."""

from __future__ import annotations

from typing import Final

from ..machinery.effort import Effort
from ..machinery.processes import run_client
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 1


def rows(effort: Effort) -> list[Row]:
    """The highest growth of resident memory at fifty moments after the warm-up."""
    measured = run_client(effort.responder, "memory", effort.scaled(1_000_000), effort.scaled(100_000))
    title = "growth of resident memory over a million events"
    return [Row.absolute("memory", title, float(measured["growth_mib"]), unit="MiB", below=2.0)]
