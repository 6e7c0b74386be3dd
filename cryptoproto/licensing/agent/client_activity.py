"""Counts and latencies of a trading ``Client``, in the shape of a license request.

Licensing does not import the client. It knows only the shape of what ``Client.metrics()`` returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, cast

from ..request.activity import EXTERNAL_BOUNDS_NS, INTERNAL_BOUNDS_NS, Activity, ActivitySource, FrozenLatency

__all__ = ["ClientActivity", "ClientReading", "TradingClient", "source_of"]


class _HistogramReading(Protocol):
    @property
    def sum_ns(self) -> int: ...
    @property
    def buckets(self) -> Sequence[tuple[int, int]]: ...


class ClientReading(Protocol):
    """What ``Client.metrics()`` returns: counters by name, and histograms of (upper bound in ns, count)."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Read for ``orders_sent``, ``cancels_sent`` and ``cancel_alls_sent``."""

    @property
    def histograms(self) -> Mapping[str, _HistogramReading]:
        """Read for ``receive_to_dispatch`` and ``order_to_acknowledgement``."""


class TradingClient(Protocol):
    """The part of a ``Client`` of this package that is read."""

    def metrics(self) -> ClientReading:
        """The current counts."""

    @property
    def orders(self) -> Iterable[object]:
        """The orders that the client knows, each with a ``trade_pair``."""


class ClientActivity:
    """Reads a client as an :class:`~cryptoproto.licensing.ActivitySource`.

    A client counts durations in buckets with a width of 3 %. A bucket that contains a bound of the request is counted
    above it. The client counts as one user with one account. Its symbols are the pairs of the orders that it knows; it
    does not know how many the exchange offers.
    """

    def __init__(self, client: TradingClient) -> None:
        self._client = client

    def metrics(self) -> Activity:
        """The current counts."""
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
    """*client* as a source of activity: a ``Client`` is wrapped, anything else is used as it is."""
    if hasattr(client.metrics(), "counters") and hasattr(client, "orders"):
        return ClientActivity(cast("TradingClient", client))
    return cast("ActivitySource", client)
