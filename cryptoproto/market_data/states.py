"""What the market-data feed is doing, and why."""

from __future__ import annotations

import enum

import msgspec

__all__ = ["FeedState", "FeedStatus"]


class FeedStatus(enum.Enum):
    """What a :class:`~cryptoproto.MarketData` is doing."""

    IDLE = "idle"
    """Not started."""
    CONNECTING = "connecting"
    LIVE = "live"
    """Connected, and the version is known; books come in."""
    WAITING = "waiting"
    """The link was lost, or could not be opened; the next attempt comes by itself."""
    CLOSED = "closed"
    """Over, by ``close()`` or for a reason that no attempt would change."""


class FeedState(msgspec.Struct, frozen=True):
    """One state of a :class:`~cryptoproto.MarketData`.

    Attributes:
        status: what it is doing.
        attempt: how many attempts in a row have failed or were cut short: 0 while all is well.
        error: why the link was lost or could not be opened; stays until the next one is live. ``None`` after
            :meth:`~cryptoproto.MarketData.close`.
        retry_in: while waiting, the seconds from the beginning of this state to the next attempt.
    """

    status: FeedStatus
    attempt: int = 0
    error: Exception | None = None
    retry_in: float | None = None

    @property
    def reason(self) -> str:
        """The error in words, empty where there is none."""
        return "" if self.error is None else str(self.error)
