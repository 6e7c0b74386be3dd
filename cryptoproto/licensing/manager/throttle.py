"""How often somebody may ask: a bucket of permits per name that refills with time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["Throttle"]

_MOST_NAMES: Final = 10_000  # the least recently seen is forgotten; a flood of addresses must not fill the memory


class Throttle:
    """Lets each name through *per_second* times a second on average, *burst* times at once."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, name: str, now_ns: int) -> float:
        """0.0 if the name may pass now, which costs a permit; else in how many seconds it may."""
        permits, seen_ns = self._buckets.get(name, (float(self._burst), now_ns))
        permits = min(self._burst, permits + max(now_ns - seen_ns, 0) / 1e9 * self._per_second)
        passes = permits >= 1
        self._buckets[name] = (permits - passes, now_ns)
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MOST_NAMES:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1 - permits) / self._per_second
