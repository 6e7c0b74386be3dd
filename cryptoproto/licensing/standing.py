"""Where a gateway stands: licensed, in grace or expired, and when to ask again. Time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..exceptions import ConfigurationError
from .token import LicenseToken

__all__ = ["LicenseState", "Schedule", "Standing"]

_SECOND: Final = 1_000_000_000
JUMP_NS: Final = 30 * _SECOND  # more than NTP slews or a busy machine explains


class LicenseState(StrEnum):
    """What a gateway may do."""

    STARTING = "starting"
    """No token yet, and the first attempt to get one has not ended."""

    LICENSED = "licensed"
    """A valid token is held."""

    GRACE = "grace"
    """No valid token, but everything goes on for the configured time."""

    EXPIRED = "expired"
    """Neither; ``ready()`` and ``ensure()`` raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often, how long.

    Attributes:
        lock_period_s: the life of a token that is asked for; a hint, the manager decides. 2 hours.
        renew_at: the fraction of a token's life after which it is renewed, spread at random by a fifth of itself
            either way so that gateways that start together do not ask together. A quarter: 30 minutes of 2 hours.
        retry_interval_s: how long after a failed attempt to try again, spread likewise. A minute.
        grace_s: how long everything goes on without a valid token, counted from the start or from the end of the
            last token. None by default.
    """

    lock_period_s: float = 7200.0
    renew_at: float = 0.25
    retry_interval_s: float = 60.0
    grace_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.lock_period_s <= 31 * 86_400:
            raise ConfigurationError("lock_period_s: between 1 second and 31 days are usable")
        if not 0 < self.renew_at <= 0.8:
            raise ConfigurationError("renew_at: a fraction above 0 and up to 0.8, so that time is left to retry")
        if not 0.05 <= self.retry_interval_s <= 86_400:
            raise ConfigurationError("retry_interval_s: between 0.05 seconds and a day are usable")
        if not 0 <= self.grace_s <= 366 * 86_400:
            raise ConfigurationError("grace_s: between 0 and a year are usable")


class Standing:
    """A token, a grace period, and a notion of now that a jump of the wall clock cannot change.

    At first now is what the wall clock said at the start, or after its last jump, plus what the steady clock has
    counted since. Once the manager has answered it is the manager's signed time plus the steady count since the
    request was *sent*, so that a token never seems valid here after its lock has ended there. The end of a token in
    hand is kept by the steady clock: no jump shortens or lengthens it.
    """

    def __init__(self, schedule: Schedule, *, wall_ns: int, steady_ns: int) -> None:
        self._schedule = schedule
        self._anchor_wall = wall_ns
        self._anchor_steady = steady_ns
        self._drift = 0
        self._confirmed = False
        self._attempted = False
        self._lapse_steady = steady_ns  # when the last token ended, or the start
        self.token: LicenseToken | None = None

    def now_ns(self, steady_ns: int) -> int:
        """UTC now, as far as is known."""
        return self._anchor_wall + steady_ns - self._anchor_steady

    def jumped(self, wall_ns: int, steady_ns: int) -> float:
        """By how many seconds the wall clock has jumped since this was last asked; 0.0 if it has not."""
        drift = wall_ns - self.now_ns(steady_ns)
        change = drift - self._drift
        if abs(change) < JUMP_NS:
            return 0.0
        self._drift = drift
        if not self._confirmed:  # the first reading is no better than this one, and likely worse
            self._anchor_wall, self._anchor_steady, self._drift = wall_ns, steady_ns, 0
        return change / _SECOND

    def best_now_ns(self, wall_ns: int, steady_ns: int) -> int:
        """What to write as the time of a request: the manager's time if it is known, else the wall clock's."""
        return self.now_ns(steady_ns) if self._confirmed else wall_ns

    def doubt_time(self) -> None:
        """The manager finds our time stale: back to the wall clock."""
        self._confirmed = False

    def hold(self, token: LicenseToken, steady_ns: int) -> None:
        """Take a token whose validity was checked at *steady_ns*."""
        self.token = token
        self._lapse_steady = steady_ns + token.expires_at_utc_ns - self.now_ns(steady_ns)

    def confirm_time(self, issued_at_utc_ns: int, sent_steady_ns: int, wall_ns: int, steady_ns: int) -> None:
        """The manager's signed time, in answer to a request sent at *sent_steady_ns*, is now what counts."""
        self._anchor_wall = issued_at_utc_ns
        self._anchor_steady = sent_steady_ns
        self._confirmed = True
        self._drift = wall_ns - self.now_ns(steady_ns)

    def attempted(self) -> None:
        """The first attempt has ended, whatever it gave."""
        self._attempted = True

    def state(self, steady_ns: int) -> LicenseState:
        """What may be done at that moment."""
        if self.token is not None and steady_ns < self._lapse_steady:
            return LicenseState.LICENSED
        if self.token is None and not self._attempted:
            return LicenseState.STARTING
        if steady_ns < self._lapse_steady + int(self._schedule.grace_s * _SECOND):
            return LicenseState.GRACE
        return LicenseState.EXPIRED

    def next_change(self, steady_ns: int) -> int | None:
        """When the state changes next if nothing else happens; ``None`` if it does not."""
        ends = (self._lapse_steady, self._lapse_steady + int(self._schedule.grace_s * _SECOND))
        return next((end for end in ends if end > steady_ns), None)

    def renewal(self, spread: float, steady_ns: int) -> int:
        """When to renew the token in hand; *spread* is a random number between -1 and 1."""
        if self.token is None or steady_ns >= self._lapse_steady:
            return steady_ns
        fraction = self._schedule.renew_at * (1 + spread / 5)
        issued_steady = steady_ns + self.token.issued_at_utc_ns - self.now_ns(steady_ns)
        return max(issued_steady + int(self.token.life_ns * fraction), steady_ns)

    def retry(self, spread: float, steady_ns: int, retry_after_s: float | None) -> int:
        """When to try again after a failed attempt; a shorter wait that the manager advises is taken."""
        wait_s = self._schedule.retry_interval_s * (1 + spread / 5)
        if retry_after_s is not None:
            # Up to a second later than advised, so that all who wait for the same lock do not come at once.
            wait_s = min(wait_s, retry_after_s + 0.01 + (1 + spread) / 2)
        return steady_ns + int(wait_s * _SECOND)
