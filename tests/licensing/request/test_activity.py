"""What a gateway counts."""

from __future__ import annotations

from cryptoproto.licensing import ActivityRecorder
from cryptoproto.licensing.request.activity import INTERNAL_BOUNDS_NS, LatencyHistogram


def test_bounds_are_inclusive_and_counts_cumulative() -> None:
    histogram = LatencyHistogram(INTERNAL_BOUNDS_NS)
    for duration_ns in (500, 501, 20_000, 20_001, -5):
        histogram.observe(duration_ns)
    assert histogram.counts == (2, 3, 3, 3, 3, 4, 5)
    assert histogram.sum_ns == 41_002
    assert repr(histogram) == "<LatencyHistogram 5 observations>"


def test_a_reading_does_not_change() -> None:
    recorder = ActivityRecorder()
    recorder.symbols, recorder.users = 3, 2
    recorder.count("create_order")
    recorder.count("create_order", 4)
    reading = recorder.metrics()
    recorder.count("create_order")
    recorder.internal_latency.observe(1)
    assert (reading.create_order, reading.cancel_order, reading.symbols, reading.users) == (5, 0, 3, 2)
    assert reading.internal_latency.counts[-1] == 0
    assert recorder.metrics().create_order == 6
