"""The state of a license: licensed, in the grace time or expired, and when to ask again. Time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ...exceptions import ConfigurationError
from ..sealing.token import LicenseToken

__all__ = ["LicenseState", "Schedule", "Standing"]

_SECOND: Final = 1_000_000_000
JUMP_NS: Final = 30 * _SECOND  # more than NTP corrections or a busy machine can explain


class LicenseState(StrEnum):
    """What a gateway may do."""

    STARTING = "starting"
    """No token yet, and the first attempt to get one has not finished."""

    LICENSED = "licensed"
    """There is a valid token."""

    GRACE = "grace"
    """There is no valid token, but work may go on for the configured time."""

    EXPIRED = "expired"
    """There is no valid token, and the grace time is over: ``ready()`` and ``ensure()`` raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How often to ask, and for how long a license lasts.

    Attributes:
        lock_period_s: the life of a token to ask for. A hint: the manager decides. Default: 2 hours.
        renew_at: the fraction of a token's life after which it is renewed, varied at random by up to 20 % so that
            gateways that start together do not ask together. Default: a quarter, which is 30 minutes of 2 hours.
        retry_interval_s: how long to wait after a failed attempt, varied in the same way. Default: a minute.
        grace_s: how long work may go on without a valid token, counted from the start or from the end of the last
            token. Default: 0.
    """

    lock_period_s: float = 7200.0
    renew_at: float = 0.25
    retry_interval_s: float = 60.0
    grace_s: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.lock_period_s <= 31 * 86_400:
            raise ConfigurationError("lock_period_s: must be between 1 second and 31 days")
        if not 0 < self.renew_at <= 0.8:
            raise ConfigurationError("renew_at: must be above 0 and at most 0.8, which leaves time to retry")
        if not 0.05 <= self.retry_interval_s <= 86_400:
            raise ConfigurationError("retry_interval_s: must be between 0.05 seconds and a day")
        if not 0 <= self.grace_s <= 366 * 86_400:
            raise ConfigurationError("grace_s: must be between 0 and a year")


class Standing:
    """A token, a grace time, and an idea of the current time that a jump of the wall clock cannot change.

    At first, the current time is the wall clock at the start, or after its last jump, plus the steady clock since then.
    After the manager has answered, it is the manager's signed time plus the steady clock since the request was *sent*,
    so that a token never seems valid here after its lock has ended there. The end of the current token is kept by the
    steady clock: a jump neither shortens nor lengthens it.
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
        """By how many seconds the wall clock has jumped since the last call; 0.0 if it has not."""
        drift = wall_ns - self.now_ns(steady_ns)
        change = drift - self._drift
        if abs(change) < JUMP_NS:
            return 0.0
        self._drift = drift
        if not self._confirmed:  # the first reading is no better than this one, and likely worse
            self._anchor_wall, self._anchor_steady, self._drift = wall_ns, steady_ns, 0
        return change / _SECOND

    def best_now_ns(self, wall_ns: int, steady_ns: int) -> int:
        """The time to put into a request: the manager's time if it is known, otherwise the wall clock's."""
        return self.now_ns(steady_ns) if self._confirmed else wall_ns

    def doubt_time(self) -> None:
        """The manager refused our time as stale: go back to the wall clock."""
        self._confirmed = False

    def hold(self, token: LicenseToken, steady_ns: int) -> None:
        """Take a token whose validity was checked at *steady_ns*."""
        self.token = token
        self._lapse_steady = steady_ns + token.expires_at_utc_ns - self.now_ns(steady_ns)

    def hold_longer(self, token: LicenseToken, steady_ns: int) -> None:
        """As :meth:`hold`, unless the current token is valid and lasts longer."""
        current = self.token
        valid = current is not None and steady_ns < self._lapse_steady
        if current is None or not valid or current.expires_at_utc_ns <= token.expires_at_utc_ns:
            self.hold(token, steady_ns)

    def confirm_time(self, issued_at_utc_ns: int, sent_steady_ns: int, wall_ns: int, steady_ns: int) -> None:
        """From now on, use the manager's signed time in its reply to a request sent at *sent_steady_ns*."""
        self._anchor_wall = issued_at_utc_ns
        self._anchor_steady = sent_steady_ns
        self._confirmed = True
        self._drift = wall_ns - self.now_ns(steady_ns)

    def attempted(self) -> None:
        """The first attempt has ended, whatever its outcome."""
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
        """When the state changes next if nothing else happens; ``None`` if it never does."""
        ends = (self._lapse_steady, self._lapse_steady + int(self._schedule.grace_s * _SECOND))
        return next((end for end in ends if end > steady_ns), None)

    def renewal(self, spread: float, steady_ns: int, *, of: LicenseToken | None = None) -> int:
        """When to ask for the next token.

        Args:
            spread: a random number between -1 and 1.
            steady_ns: now.
            of: the token to renew, if it is not the current one. The lock at the manager has to be renewed at its
                usual pace even if a token that lasts longer is kept.
        """
        token = of or self.token
        if token is None or steady_ns >= self._lapse_steady:
            return steady_ns
        fraction = self._schedule.renew_at * (1 + spread / 5)
        issued_steady = steady_ns + token.issued_at_utc_ns - self.now_ns(steady_ns)
        return max(issued_steady + int(token.life_ns * fraction), steady_ns)

    def retry(self, spread: float, steady_ns: int, retry_after_s: float | None) -> int:
        """When to try again after a failed attempt. A shorter wait that the manager advises is followed."""
        wait_s = self._schedule.retry_interval_s * (1 + spread / 5)
        if retry_after_s is not None:
            # Up to a second later than advised, so that gateways that wait for one lock do not all ask at once.
            wait_s = min(wait_s, retry_after_s + 0.01 + (1 + spread) / 2)
        return steady_ns + int(wait_s * _SECOND)
