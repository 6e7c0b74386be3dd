"""Latency histograms as a few percentiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..client.metrics import HistogramSnapshot
from .plain_rows import Row

__all__ = ["latency_rows"]

_PERCENTILES: Final = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "p999_ms": 99.9}


def latency_rows(histograms: Mapping[str, HistogramSnapshot]) -> dict[str, Row]:
    """Count, mean, percentiles and maximum of each histogram, in milliseconds; ``None`` where there are no values."""
    return {name: _row(histogram) for name, histogram in histograms.items()}


def _row(histogram: HistogramSnapshot) -> Row:
    if not histogram.count:
        return {"count": 0, "mean_ms": None, **dict.fromkeys(_PERCENTILES), "max_ms": None}
    return {
        "count": histogram.count,
        "mean_ms": histogram.sum_ns / histogram.count / 1e6,
        **{name: histogram.percentile(percent) / 1e6 for name, percent in _PERCENTILES.items()},
        "max_ms": histogram.max_ns / 1e6,
    }
