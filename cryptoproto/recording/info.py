"""What is in a recording, without playing it back."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from .block import StateRecord, Tally, count_updates, states_of
from .recording_file import Damage, RecordingReader

__all__ = ["Gap", "RecordingInfo", "recording_info"]

_LIVE = "live"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Gap(msgspec.Struct, frozen=True):
    """A time in which updates may be missing.

    Attributes:
        start: its start.
        end: its end; ``None`` if the recording ends with it.
        reason: why.
    """

    start: datetime
    end: datetime | None
    reason: str


class RecordingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What :func:`recording_info` has found.

    Attributes:
        path: the file.
        url: the feed that was recorded.
        pairs: the pairs in it.
        software: what has written it.
        start: the time of the first entry; ``None`` if there is none.
        end: the time of the last entry.
        tally: how many updates of each kind it holds.
        blocks: how many blocks it has.
        size: its length in bytes.
        gaps: when updates may be missing: disconnects, pauses between recorders, damage.
        damages: what cannot be read, with the offset.
        torn: the unfinished block at the end, left by a recorder that was killed or is still running; else ``None``.
        is_complete: whether the last recorder was closed.
    """

    path: str
    url: str
    pairs: list[str]
    software: str
    start: datetime | None
    end: datetime | None
    tally: Tally
    blocks: int
    size: int
    gaps: list[Gap]
    damages: list[Damage]
    torn: Damage | None
    is_complete: bool

    @property
    def bytes_per_update(self) -> float | None:
        """The size divided by the number of updates; ``None`` if there are none."""
        return self.size / self.tally.updates if self.tally.updates else None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **msgspec.to_builtins(self),
            "damages": [each._asdict() for each in self.damages],
            "torn": None if self.torn is None else self.torn._asdict(),
            "bytes_per_update": self.bytes_per_update,
        }


def recording_info(path: str | os.PathLike[str]) -> RecordingInfo:
    """Read a whole recording and say what is in it.

    Damaged parts are listed, they are not an error.

    Raises:
        ConfigurationError: the file is not a recording, or was written by a newer version.
        RecordingError: its header is damaged, or it cannot be read.
    """
    tally, pairs = Tally(), set[str]()
    damages: list[Damage] = []
    blocks = 0
    start: datetime | None = None
    with RecordingReader(path) as reader:
        gaps = _Gaps(_moment(reader.header.created_us))
        for read in reader.blocks():
            if isinstance(read, Damage):
                damages.append(read)
                gaps.damaged(read.text)
                continue
            blocks += 1
            start = start or _moment(read.head.first_us)
            gaps.intact(read.head.first_us)
            block = reader.block(read)
            count_updates(block, tally, pairs)
            for at_us, state in states_of(block):
                gaps.state(at_us, state)
            gaps.now(read.head.last_us)
        return RecordingInfo(
            path=reader.path,
            url=reader.header.url,
            pairs=sorted(pairs | set(reader.header.pairs or ())),
            software=reader.header.software,
            start=start,
            end=gaps.last if blocks else None,
            tally=tally,
            blocks=blocks,
            size=os.path.getsize(path),
            gaps=gaps.found(),
            damages=damages,
            torn=reader.torn,
            is_complete=gaps.is_complete,
        )


class _Gaps:
    """Follows the states of a recording."""

    def __init__(self, created: datetime) -> None:
        self.is_complete = False
        self.last = created
        self._gaps: list[Gap] = []
        self._open: tuple[datetime, str] | None = None
        self._begun = False
        self._is_damaged = False

    def now(self, at_us: int) -> None:
        self.last = _moment(at_us)

    def damaged(self, text: str) -> None:
        if self._open is None:
            self._open = (self.last, text)
            self._is_damaged = True

    def intact(self, at_us: int) -> None:
        if self._is_damaged:
            self._close(_moment(at_us))

    def state(self, at_us: int, state: StateRecord) -> None:
        self.is_complete = state.kind == "end"
        if state.kind == "begin":
            if self._begun:
                self._open = self._open or (self.last, "nothing was recorded")
            self._begun = True
        self.last = _moment(at_us)
        if state.state != _LIVE:
            self._open = self._open or (self.last, state.reason)
        else:
            self._close(self.last)

    def found(self) -> list[Gap]:
        if self._open is not None and not self.is_complete:
            self._close(None)
        return self._gaps

    def _close(self, end: datetime | None) -> None:
        if self._open is not None:
            self._gaps.append(Gap(self._open[0], end, self._open[1]))
            self._open = None
            self._is_damaged = False


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
