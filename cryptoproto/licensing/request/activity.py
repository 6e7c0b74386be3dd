"""What a gateway counts: requests by kind, sizes, two latency histograms.

The agent reads any object with the shape of :class:`ActivitySource`: a ``Client`` of this package, through
``ClientActivity``, or an :class:`ActivityRecorder`, which any process can fill in by hand.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, get_args

__all__ = [
    "EXTERNAL_BOUNDS_NS",
    "INTERNAL_BOUNDS_NS",
    "Activity",
    "ActivityReading",
    "ActivityRecorder",
    "ActivitySource",
    "FrozenLatency",
    "LatencyHistogram",
    "LatencyReading",
    "RequestKind",
]

INTERNAL_BOUNDS_NS: Final = (500, 1_000, 2_000, 5_000, 10_000, 20_000)
"""Upper bounds, inclusive, of the internal latency's buckets; ``+Inf`` follows."""

EXTERNAL_BOUNDS_NS: Final = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
"""Upper bounds, inclusive, of the external latency's buckets; ``+Inf`` follows."""

RequestKind = Literal[
    "create_order", "modify_order", "cancel_order", "cancel_all_orders", "mass_quote", "cancel_quotes"
]
_KINDS: Final[tuple[RequestKind, ...]] = get_args(RequestKind)


class LatencyReading(Protocol):
    """A histogram: cumulative counts, one for each bound and a last one for ``+Inf``, and the sum of all durations."""

    @property
    def sum_ns(self) -> int:
        """The sum of all durations, in nanoseconds."""

    @property
    def counts(self) -> Sequence[int]:
        """For each bound, the number of durations at or below it; last, the number of all."""


class ActivityReading(Protocol):
    """What ``metrics()`` returns: counts since the process started, and two histograms.

    ``internal_latency`` has the bounds :data:`INTERNAL_BOUNDS_NS` (from the arrival of an event to its delivery, or
    from a call to the network), ``external_latency`` has :data:`EXTERNAL_BOUNDS_NS` (from a request to its
    acknowledgement).
    """

    @property
    def symbols(self) -> int:
        """How many symbols it follows."""

    @property
    def total_symbols(self) -> int:
        """How many symbols the exchange offers."""

    @property
    def accounts(self) -> int:
        """How many accounts it trades for."""

    @property
    def users(self) -> int:
        """How many users or strategies are connected to it."""

    @property
    def create_order(self) -> int:
        """Orders sent."""

    @property
    def modify_order(self) -> int:
        """Modifications sent."""

    @property
    def cancel_order(self) -> int:
        """Cancellations of one order sent."""

    @property
    def cancel_all_orders(self) -> int:
        """Cancellations of all orders sent."""

    @property
    def mass_quote(self) -> int:
        """Mass quotes sent."""

    @property
    def cancel_quotes(self) -> int:
        """Cancellations of quotes sent."""

    @property
    def internal_latency(self) -> LatencyReading:
        """With :data:`INTERNAL_BOUNDS_NS`."""

    @property
    def external_latency(self) -> LatencyReading:
        """With :data:`EXTERNAL_BOUNDS_NS`."""


class ActivitySource(Protocol):
    """Anything with a ``metrics()`` that returns an :class:`ActivityReading`. Called once for each license request."""

    def metrics(self) -> ActivityReading:
        """The current counts. Must not raise."""


class LatencyHistogram:
    """Counts durations in buckets. Observing one costs a binary search and two additions."""

    __slots__ = ("_bounds", "_buckets", "sum_ns")

    sum_ns: int

    def __init__(self, bounds_ns: Sequence[int]) -> None:
        self._bounds = tuple(bounds_ns)
        self._buckets = [0] * (len(self._bounds) + 1)
        self.sum_ns = 0

    def observe(self, duration_ns: int) -> None:
        """Count one duration. A negative one, from a clock that jumped back, counts as zero."""
        duration_ns = max(duration_ns, 0)
        self._buckets[bisect_left(self._bounds, duration_ns)] += 1
        self.sum_ns += duration_ns

    @property
    def counts(self) -> tuple[int, ...]:
        """For each bound, the number of durations at or below it; last, the number of all."""
        total = 0
        return tuple(total := total + bucket for bucket in self._buckets)

    def __repr__(self) -> str:
        return f"<LatencyHistogram {self.counts[-1]} observations>"


@dataclass(frozen=True, slots=True)
class Activity:
    """One reading of an :class:`ActivityRecorder`."""

    symbols: int
    total_symbols: int
    accounts: int
    users: int
    create_order: int
    modify_order: int
    cancel_order: int
    cancel_all_orders: int
    mass_quote: int
    cancel_quotes: int
    internal_latency: LatencyReading
    external_latency: LatencyReading


@dataclass(frozen=True, slots=True)
class FrozenLatency:
    """A histogram at one moment; see :class:`LatencyReading`."""

    sum_ns: int
    counts: tuple[int, ...]


class ActivityRecorder:
    """Counts that are filled in by hand, for a process that does not trade through a ``Client`` of this package.

    Not thread-safe: use it from one thread.
    """

    def __init__(self) -> None:
        self.symbols: int = 0
        self.total_symbols: int = 0
        self.accounts: int = 0
        self.users: int = 0
        self.internal_latency: LatencyHistogram = LatencyHistogram(INTERNAL_BOUNDS_NS)
        self.external_latency: LatencyHistogram = LatencyHistogram(EXTERNAL_BOUNDS_NS)
        self._requests: dict[RequestKind, int] = {}

    def count(self, kind: RequestKind, by: int = 1) -> None:
        """Count a request that was sent."""
        self._requests[kind] = self._requests.get(kind, 0) + by

    def metrics(self) -> Activity:
        """The current counts."""
        sizes = {name: getattr(self, name) for name in ("symbols", "total_symbols", "accounts", "users")}
        requests = {kind: self._requests.get(kind, 0) for kind in _KINDS}
        return Activity(
            **sizes,
            **requests,
            internal_latency=FrozenLatency(self.internal_latency.sum_ns, self.internal_latency.counts),
            external_latency=FrozenLatency(self.external_latency.sum_ns, self.external_latency.counts),
        )
