"""The trades of a recording, without an event loop."""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec

from ..exceptions import RecordingError
from ..messages import AnonymousTrade
from .block import StateRecord
from .recording_file import Damage, RecordingReader

__all__ = ["Interruption", "recording_trades"]

_LIVE = "live"


class Interruption(msgspec.Struct, frozen=True):
    """Trades may be missing between these times, microseconds since 1970."""

    start_us: int
    end_us: int


def recording_trades(
    path: str | os.PathLike[str], *, trade_pair: str | None = None, skip_damaged: bool = False
) -> Iterator[AnonymousTrade | Interruption]:
    """The trades in a recording, in order, with interruptions in between.

    Args:
        path: the file.
        trade_pair: only this pair; ``None`` = all.
        skip_damaged: whether damage is an interruption instead of an error.

    Raises:
        ConfigurationError: the file is not a recording.
        RecordingError: it is damaged.
    """
    with RecordingReader(path) as reader:
        is_live = True
        last_us: int | None = None
        lost_us: int | None = None
        for read in reader.blocks():
            if isinstance(read, Damage):
                if not skip_damaged:
                    raise RecordingError(
                        reader.path, f"{read.text} (at byte {read.offset}); skip_damaged=True leaves it out"
                    )
                is_live, lost_us = True, lost_us or last_us
                continue
            for at_us, entry in reader.entries(read):
                if isinstance(entry, StateRecord):
                    is_live = entry.state == _LIVE
                    if not is_live or entry.kind == "begin":
                        lost_us = lost_us or last_us
                if is_live and lost_us is not None:
                    yield Interruption(lost_us, at_us)
                    lost_us = None
                if isinstance(entry, AnonymousTrade) and trade_pair in (None, entry.trade_pair):
                    yield entry
                last_us = at_us
