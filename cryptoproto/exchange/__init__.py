"""An exchange to develop and test against: a real server of the protocol, with a deterministic matching engine."""

from __future__ import annotations

from .engine import DEFAULT_PAIRS, Engine
from .server import Exchange

__all__ = ["DEFAULT_PAIRS", "Engine", "Exchange"]
