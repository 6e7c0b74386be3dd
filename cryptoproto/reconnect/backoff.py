"""How long to wait before reconnecting."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import SystemRandom
from typing import Final

from ..exceptions import ConfigurationError

__all__ = ["Backoff"]

_SYSTEM_RANDOM: Final = (
    SystemRandom()
)  # not the default generator: forked processes would share its state and reconnect together


class Backoff:
    """Capped exponential backoff with full jitter.

    The n-th delay is drawn uniformly from zero to ``min(cap, initial * factor ** (n - 1))`` seconds, so that clients
    that were disconnected by the same outage do not all reconnect at the same time.

    Args:
        initial: upper limit of the first delay, in seconds.
        cap: upper limit of all delays, in seconds.
        factor: by how much the limit grows with each attempt.
        random: returns a float of at least 0.0 and less than 1.0.

    Raises:
        ConfigurationError: an argument is not finite, *initial* is not greater than zero, *cap* is less than *initial*,
            or *factor* is less than one.
    """

    __slots__ = ("_cap", "_ceiling", "_factor", "_initial", "_random", "attempts")

    def __init__(
        self,
        initial: float = 0.5,
        cap: float = 30.0,
        factor: float = 2.0,
        *,
        random: Callable[[], float] = _SYSTEM_RANDOM.random,
    ) -> None:
        for name, value, least in (("initial", initial, 0.0), ("cap", cap, initial), ("factor", factor, 1.0)):
            if not (math.isfinite(value) and value >= least):
                raise ConfigurationError(f"{name}={value} must be a finite number of at least {least:g}")
        if initial == 0:
            raise ConfigurationError("initial=0 would retry without a pause; use a positive number of seconds")
        self.attempts: int = 0
        self._initial = initial
        self._cap = cap
        self._factor = factor
        self._random = random
        self._ceiling = initial

    @property
    def cap(self) -> float:
        """Upper limit of all delays, in seconds."""
        return self._cap

    @property
    def ceiling(self) -> float:
        """Upper limit of the next delay, in seconds."""
        return self._ceiling

    def with_limits(self, *, initial: float, cap: float) -> Backoff:
        """A new backoff with other limits and the same factor and randomness."""
        return Backoff(initial, cap, self._factor, random=self._random)

    def next_delay(self) -> float:
        """Return how many seconds to wait, and count an attempt."""
        delay = self._random() * self._ceiling
        self.attempts += 1
        self._ceiling = min(self._cap, self._ceiling * self._factor)
        return delay

    def reset(self) -> None:
        """Start again from the first delay, after a successful connection."""
        self.attempts = 0
        self._ceiling = self._initial

    def __repr__(self) -> str:
        return f"<Backoff attempts={self.attempts}, next delay up to {self._ceiling:g} s>"
