"""Recordings of market data: keep a feed in a file, and play it back to the same bot (extra ``recording``)."""

from __future__ import annotations

from .recorder import Recorder, record
from .replay import Replay, replay

__all__ = ["Recorder", "Replay", "record", "replay"]
