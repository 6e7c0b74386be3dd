"""How often a name may ask: a token bucket for each."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["Throttle"]

_MOST_NAMES: Final = 10_000  # the least recently used is forgotten, so that a flood of addresses cannot fill the memory


class Throttle:
    """Allows each name *per_second* requests per second on average, and *burst* at once."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, name: str, now_ns: int) -> float:
        """0.0 if the name may ask now, which uses a permit; otherwise the seconds until it may."""
        permits, seen_ns = self._buckets.get(name, (float(self._burst), now_ns))
        permits = min(self._burst, permits + max(now_ns - seen_ns, 0) / 1e9 * self._per_second)
        passes = permits >= 1
        self._buckets[name] = (permits - passes, now_ns)
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MOST_NAMES:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - permits) / self._per_second
