"""Recordings of market data: keep a feed in a file, play it back to the same bot, and research (extra ``recording``).

``cryptoproto.recording.backtest``, ``.report`` and ``.frames`` hold what needs more, and are imported on their own.
"""

from __future__ import annotations

from .candles import Candle, CandleBuilder, candles
from .info import RecordingInfo, recording_info
from .recorder import Recorder, record
from .replay import Replay, replay

__all__ = [
    "Candle",
    "CandleBuilder",
    "Recorder",
    "RecordingInfo",
    "Replay",
    "candles",
    "record",
    "recording_info",
    "replay",
]
