"""Counts and latencies of a trading ``Client``, in the shape of a license request.

This room does not import the client's; it knows the shape of what ``Client.metrics()`` gives, and nothing else of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, cast

from .activity import EXTERNAL_BOUNDS_NS, INTERNAL_BOUNDS_NS, Activity, ActivitySource, FrozenLatency

__all__ = ["ClientActivity", "ClientReading", "TradingClient", "source_of"]


class _HistogramReading(Protocol):
    @property
    def sum_ns(self) -> int: ...
    @property
    def buckets(self) -> Sequence[tuple[int, int]]: ...


class ClientReading(Protocol):
    """What ``Client.metrics()`` gives: counters by name, and histograms of (upper bound in ns, count)."""

    @property
    def counters(self) -> Mapping[str, int]:
        """``orders_sent``, ``cancels_sent``, ``cancel_alls_sent`` are read."""

    @property
    def histograms(self) -> Mapping[str, _HistogramReading]:
        """``receive_to_dispatch`` and ``order_to_acknowledgement`` are read."""


class TradingClient(Protocol):
    """What is read of a ``Client`` of this package."""

    def metrics(self) -> ClientReading:
        """The counts as they stand."""

    @property
    def orders(self) -> Iterable[object]:
        """The orders that it knows, each with a ``trade_pair``."""


class ClientActivity:
    """Reads a client as an :class:`~cryptoproto.licensing.ActivitySource`.

    A client counts durations in buckets of three per cent; one of them may lie across a bound of the request, and is
    then counted above it. The client is one user with one account, and its symbols are the pairs of the orders that it
    knows; how many the exchange offers it cannot tell.
    """

    def __init__(self, client: TradingClient) -> None:
        self._client = client

    def metrics(self) -> Activity:
        """The counts as they stand."""
        reading = self._client.metrics()
        counters, histograms = reading.counters, reading.histograms
        pairs = len({getattr(order, "trade_pair", None) for order in self._client.orders})
        return Activity(
            symbols=pairs,
            total_symbols=pairs,
            accounts=1,
            users=1,
            create_order=counters["orders_sent"],
            modify_order=0,
            cancel_order=counters["cancels_sent"],
            cancel_all_orders=counters["cancel_alls_sent"],
            mass_quote=0,
            cancel_quotes=0,
            internal_latency=_cumulative(histograms["receive_to_dispatch"], INTERNAL_BOUNDS_NS),
            external_latency=_cumulative(histograms["order_to_acknowledgement"], EXTERNAL_BOUNDS_NS),
        )


def _cumulative(histogram: _HistogramReading, bounds_ns: Sequence[int]) -> FrozenLatency:
    buckets = histogram.buckets
    counts = [sum(count for upper, count in buckets if upper <= bound) for bound in bounds_ns]
    return FrozenLatency(histogram.sum_ns, (*counts, sum(count for _, count in buckets)))


def source_of(client: ActivitySource | TradingClient) -> ActivitySource:
    """*client* as a source: as it is where it gives a reading of a request's shape, and read as a Client otherwise."""
    if hasattr(client.metrics(), "counters") and hasattr(client, "orders"):
        return ClientActivity(cast("TradingClient", client))
    return cast("ActivitySource", client)
