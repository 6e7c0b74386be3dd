"""The states of a client, and what the end of a connection asks for."""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from ..exceptions import (
    ConcurrentConnection,
    ConfigurationError,
    CryptoprotoError,
    HistoryRewound,
    InvalidKey,
    RateLimited,
    UnsupportedVersion,
)
from ..messages import AsDict

__all__ = ["Reaction", "State", "StateChange", "reaction_to"]

_RATE_LIMIT_PAUSE_S = 5.0


class State(enum.StrEnum):
    """What a :class:`~cryptoproto.Client` is doing.

    ::

        CONNECTING ──► RESUMING ──► LIVE
            ▲              │          │   the link ends
            │              ▼          ▼
            └────────── WAITING ◄─────┘
                           any ──► CLOSED   close(), or a retry cannot succeed
    """

    CONNECTING = "connecting"
    """Opening a connection and shaking hands."""
    RESUMING = "resuming"
    """Connected; the exchange replays what was missed, and open orders and balances are compared."""
    LIVE = "live"
    """Everything is known; events come as they happen."""
    WAITING = "waiting"
    """Not connected; trying again after a pause."""
    CLOSED = "closed"
    """The end."""


class StateChange(AsDict, msgspec.Struct, frozen=True):
    """A client has entered a state.

    Attributes:
        state: the state.
        reason: why, in words.
        attempt: how many connections in a row have failed.
        replayed: how many events the exchange replayed, when LIVE is entered.
        delay_s: the pause before the next attempt, when WAITING is entered.
        error: what ended the connection, if one ended.
    """

    state: State
    reason: str
    attempt: int = 0
    replayed: int = 0
    delay_s: float = 0.0
    error: CryptoprotoError | None = None


_FINAL: Final = (ConcurrentConnection, InvalidKey, UnsupportedVersion, ConfigurationError, HistoryRewound)


class Reaction(msgspec.Struct, frozen=True):
    """What to do after a connection has ended: stop, or try again after *least_delay_s* or more."""

    stop: bool
    least_delay_s: float = 0.0


def reaction_to(error: CryptoprotoError) -> Reaction:
    """What *error*, which ended a connection or kept one from opening, asks for.

    Stop if another connection has taken over (4000), if a key or version does not fit, if an option cannot be used,
    or if the exchange's history was rewound. Wait longer after the rate limit (4009). Otherwise connect again, also
    after a wrong sequence (4001) and a restart (1012): a new connection resynchronises the sequence.
    """
    if isinstance(error, _FINAL):
        return Reaction(stop=True)
    if isinstance(error, RateLimited):
        return Reaction(stop=False, least_delay_s=_RATE_LIMIT_PAUSE_S)
    return Reaction(stop=False)
