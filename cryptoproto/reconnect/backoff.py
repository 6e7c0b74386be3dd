"""How long to wait before connecting again."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import SystemRandom
from typing import Final

from ..exceptions import ConfigurationError

__all__ = ["Backoff"]

_SYSTEM_RANDOM: Final = SystemRandom()  # not the seeded generator: forked processes would all come back at once


class Backoff:
    """Capped exponential backoff with full jitter.

    The n-th delay is drawn evenly from zero to ``min(cap, initial * factor ** (n - 1))`` seconds, so that the clients
    which one outage cut off do not come back as one wave.

    Args:
        initial: the longest that the first delay can be, in seconds.
        cap: the longest that any delay can be, in seconds.
        factor: how much longer each delay can be than the one before.
        random: gives a float from 0.0 up to, but not including, 1.0.

    Raises:
        ConfigurationError: a number is no finite one, *initial* is not above zero, *cap* below *initial*, or *factor*
            below one.
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
            raise ConfigurationError("initial=0 would try again without a pause, for ever")
        self.attempts = 0
        self._initial = initial
        self._cap = cap
        self._factor = factor
        self._random = random
        self._ceiling = initial

    @property
    def cap(self) -> float:
        """The longest that any delay can be, in seconds."""
        return self._cap

    @property
    def ceiling(self) -> float:
        """The longest that the next delay can be, in seconds."""
        return self._ceiling

    def next_delay(self) -> float:
        """The seconds to wait now; counts as an attempt."""
        delay = self._random() * self._ceiling
        self.attempts += 1
        self._ceiling = min(self._cap, self._ceiling * self._factor)
        return delay

    def reset(self) -> None:
        """Begin again with the first delay: the connection was a good one."""
        self.attempts = 0
        self._ceiling = self._initial

    def __repr__(self) -> str:
        return f"<Backoff attempts={self.attempts}, next delay up to {self._ceiling:g} s>"
