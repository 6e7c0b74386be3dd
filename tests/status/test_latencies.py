"""Histograms as percentiles."""

from __future__ import annotations

import pytest

from cryptoproto.client.metrics import Histogram
from cryptoproto.status.latencies import latency_rows


def test_percentiles_in_milliseconds() -> None:
    histogram = Histogram()
    histogram.add([milliseconds * 1_000_000 for milliseconds in range(1, 101)])
    rows = latency_rows({"one": histogram.snapshot(), "none": Histogram().snapshot()})
    row = rows["one"]
    assert row["count"] == 100
    assert row["mean_ms"] == 50.5
    assert row["p50_ms"] == pytest.approx(50, rel=0.03)
    assert row["p90_ms"] == pytest.approx(90, rel=0.03)
    assert row["p99_ms"] == pytest.approx(99, rel=0.03)
    assert row["p999_ms"] == row["max_ms"] == 100
    assert rows["none"] == {
        "count": 0, "mean_ms": None, "p50_ms": None, "p90_ms": None, "p99_ms": None, "p999_ms": None, "max_ms": None,
    }  # fmt: skip
