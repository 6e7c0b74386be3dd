"""What a client counts and measures, without dependencies: counters, gauges and latency histograms."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import deque
from typing import Final

import msgspec

from ..messages import AsDict

__all__ = ["Histogram", "HistogramSnapshot", "Metrics", "MetricsSnapshot", "Throttling"]

_SUB_BITS: Final = 5
_SUB_BUCKETS: Final = 1 << _SUB_BITS
_THROTTLINGS_KEPT: Final = 100
_COUNTED_TOGETHER: Final = 256


class HistogramSnapshot(AsDict, msgspec.Struct, frozen=True):
    """A histogram at one moment: *buckets* are (upper bound in nanoseconds, count), only those that are not empty."""

    count: int
    sum_ns: int
    max_ns: int
    buckets: list[tuple[int, int]]

    def percentile(self, percent: float) -> int:
        """The value in nanoseconds that *percent* of all values do not exceed, within 3 %; 0 if there are none."""
        wanted = self.count * percent / 100
        seen = 0
        for bound, count in self.buckets:
            seen += count
            if seen >= wanted:
                return min(bound, self.max_ns)
        return self.max_ns


class Histogram:
    """Counts durations in buckets whose width grows with the value, as HDR histograms do.

    Each power of two is split into 32 buckets, so values from a nanosecond to hours are known within 3 %, with fewer
    than two thousand counters. Counters are created when they are first needed. Negative durations, after a clock was
    set back, count as zero.
    """

    __slots__ = ("_buckets", "_count", "_max_ns", "_recorded", "_sum_ns")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self._count = 0
        self._sum_ns = 0
        self._max_ns = 0
        self._recorded: list[int] = []  # durations that are not counted yet

    def record(self, duration_ns: int) -> None:
        """Count one duration, later and together with others, which takes a fifth of the time."""
        self._recorded.append(duration_ns)
        if len(self._recorded) == _COUNTED_TOGETHER:
            self._count_recorded()

    def _count_recorded(self) -> None:
        self.add(self._recorded)
        self._recorded.clear()

    def add(self, durations_ns: list[int]) -> None:
        """Count many durations. They are sorted and counted by bucket, five times as fast as one by one."""
        durations = sorted(durations_ns)
        below = bisect_left(durations, 0)
        durations[:below] = [0] * below
        buckets, start = self._buckets, 0
        while start < len(durations):
            shift = max(durations[start].bit_length() - _SUB_BITS - 1, 0)
            index = (shift << _SUB_BITS) + (durations[start] >> shift)
            end = bisect_right(durations, _upper(index), lo=start)
            buckets[index] = buckets.get(index, 0) + end - start
            start = end
        self._count += len(durations)
        self._sum_ns += sum(durations)
        self._max_ns = max(self._max_ns, durations[-1] if durations else 0)

    def snapshot(self) -> HistogramSnapshot:
        """The present counts."""
        self._count_recorded()
        return HistogramSnapshot(
            self._count,
            self._sum_ns,
            self._max_ns,
            [(_upper(index), count) for index, count in sorted(self._buckets.items())],
        )


def _upper(index: int) -> int:
    """The largest value that falls into bucket *index*."""
    if index < 2 * _SUB_BUCKETS:
        return index
    shift = (index >> _SUB_BITS) - 1
    return ((index - (shift << _SUB_BITS) + 1) << shift) - 1


class Throttling(AsDict, msgspec.Struct, frozen=True):
    """The exchange has throttled a message.

    Attributes:
        at_ns: when it said so, in unix nanoseconds.
        level: how many messages the client was above the limit.
        request_id: the id of the request, or the sequence of the message.
        order_id: the newest order id of the exchange at that moment.
        hold_s: for how many seconds messages are held because of it.
    """

    at_ns: int
    level: int
    request_id: int
    order_id: int
    hold_s: float


class MetricsSnapshot(AsDict, msgspec.Struct, frozen=True):
    """All metrics of a client at one moment, and the latest hundred times that it was throttled."""

    counters: dict[str, int]
    gauges: dict[str, float]
    histograms: dict[str, HistogramSnapshot]
    throttlings: list[Throttling] = []


class Metrics:
    """The counters and histograms of a client; :meth:`~cryptoproto.Client.metrics` returns a snapshot.

    Attributes:
        order_to_acknowledgement: from the call that places an order until the exchange's answer is read.
        request_round_trip: from the call that sends a request until its response is read.
        receive_to_dispatch: from reading an event until it is passed to the user.
    """

    __slots__ = ("_throttlings", "counters", "order_to_acknowledgement", "receive_to_dispatch", "request_round_trip")

    def __init__(self) -> None:
        self.counters: dict[str, int] = dict.fromkeys(
            (
                "events",
                "broadcasts",
                "connections",
                "disconnections",
                "orders_sent",
                "orders_acknowledged",
                "orders_rejected",
                "cancels_sent",
                "cancel_alls_sent",
                "not_sent",
                "outcomes_unknown",
                "resent",
                "requests",
                "throttled",
            ),
            0,
        )
        self.order_to_acknowledgement: Histogram = Histogram()
        self.request_round_trip: Histogram = Histogram()
        self.receive_to_dispatch: Histogram = Histogram()
        self._throttlings: deque[Throttling] = deque(maxlen=_THROTTLINGS_KEPT)

    def count(self, name: str) -> None:
        """Add one to a counter."""
        self.counters[name] += 1

    def note_throttling(self, level: int, request_id: int, order_id: int, hold_s: float) -> None:
        """Keep what was throttled; the counter is counted separately."""
        self._throttlings.append(Throttling(time.time_ns(), level, request_id, order_id, hold_s))

    def snapshot(self, counters: dict[str, int], gauges: dict[str, float]) -> MetricsSnapshot:
        """The present values, with *counters* and *gauges* from elsewhere."""
        return MetricsSnapshot(
            self.counters | counters,
            gauges,
            {
                "order_to_acknowledgement": self.order_to_acknowledgement.snapshot(),
                "request_round_trip": self.request_round_trip.snapshot(),
                "receive_to_dispatch": self.receive_to_dispatch.snapshot(),
            },
            list(self._throttlings),
        )
