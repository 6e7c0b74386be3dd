"""The states of a market-data feed."""

from __future__ import annotations

import enum

import msgspec

from ..messages import AsDict

__all__ = ["FeedState", "FeedStateChange"]


class FeedState(enum.StrEnum):
    """What a :class:`~cryptoproto.MarketData` is doing.

    ::

        IDLE ──► CONNECTING ──► LIVE
                     ▲  │        │   the connection ends, or cannot be opened
                     │  ▼        │
                    WAITING ◄────┘
                       any ──► CLOSED   close(), or an error that a retry cannot fix
    """

    IDLE = "idle"
    """Not started."""
    CONNECTING = "connecting"
    """Opening a connection and waiting for the server's first frame."""
    LIVE = "live"
    """Connected; books and trades are received."""
    WAITING = "waiting"
    """Not connected; trying again after a pause."""
    CLOSED = "closed"
    """The end."""


class FeedStateChange(AsDict, msgspec.Struct, frozen=True):
    """A feed has entered a state. The fields are those of a client's :class:`~cryptoproto.StateChange`.

    Attributes:
        state: the state.
        reason: why, in words.
        attempt: how many attempts in a row have failed or ended early; 0 when all is well.
        delay_s: the pause before the next attempt, when WAITING is entered.
        error: why the connection was lost or could not be opened; kept until the next connection is live. ``None``
            after :meth:`~cryptoproto.MarketData.close`.
    """

    state: FeedState
    reason: str
    attempt: int = 0
    delay_s: float = 0.0
    error: Exception | None = None
