"""A million events through one connection: how much the resident memory grows after the warm-up."""

from __future__ import annotations

from .processes import Responder, run_client
from .report import Effort, Row

__all__ = ["memory_rows"]


def memory_rows(effort: Effort, server: Responder) -> list[Row]:
    """The highest growth seen at fifty moments on the way."""
    measured = run_client(server, "memory", effort.scaled(1_000_000), effort.scaled(100_000))
    title = "growth of resident memory over a million events"
    return [Row.absolute("memory", title, float(measured["growth_mib"]), unit="MiB", at_most=2.0)]
