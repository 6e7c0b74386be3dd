"""A client's metrics for Prometheus (extra ``metrics``).

::

    from cryptoproto.client.prometheus import serve_metrics

    with serve_metrics(client, port=9100):
        ...
"""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Protocol, Self

from ..exceptions import ConfigurationError
from ..extras import needs
from .metrics import HistogramSnapshot, MetricsSnapshot

with needs("cryptoproto.client.prometheus", "metrics"):
    from prometheus_client import CollectorRegistry, start_http_server
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector

__all__ = ["ClientCollector", "MetricsEndpoint", "serve_metrics"]

_PATIENCE_S: Final = 2.0
_BOUNDS_S: Final = tuple(
    float(f"{digit}e{exponent}") for exponent in range(-6, 2) for digit in (1, 2, 5)
)  # a microsecond to fifty seconds
_BOUNDS_NS: Final = tuple(round(bound * 1e9) for bound in _BOUNDS_S)
_HELP: Final = {
    "order_to_acknowledgement": "From the call that places an order until the exchange's answer is read.",
    "request_round_trip": "From the call that sends a request until its response is read.",
    "receive_to_dispatch": "From reading an event until it is passed to the user.",
}


class _HasMetrics(Protocol):
    def metrics(self) -> MetricsSnapshot: ...


class ClientCollector(Collector):
    """Reports the metrics of a client to a Prometheus registry, as they are at each scrape.

    Counters become ``cryptoproto_client_<name>_total``, gauges ``cryptoproto_client_<name>``, histograms
    ``cryptoproto_client_<name>_seconds`` with bounds at 1, 2 and 5 times each power of ten from a microsecond on. The
    client knows values within 3 %; each is counted in the first bucket that it certainly fits into.

    A scrape runs in its own thread. The snapshot is taken in the client's event loop, so create this object there. If
    the loop does not answer within two seconds, or is closed, the last snapshot is reported.

    Args:
        client: a :class:`cryptoproto.Client`, :class:`cryptoproto.sync.Client`, or another object whose ``metrics()``
            returns a MetricsSnapshot, like a gateway.
        labels: names and values added to all metrics, to distinguish clients: ``{"client": "alice"}``.
        namespace: the prefix of all names.
    """

    def __init__(
        self,
        client: _HasMetrics,
        *,
        labels: Mapping[str, str] | None = None,
        namespace: str = "cryptoproto_client",
    ) -> None:
        self._client = client
        self._labels = dict(labels or {})
        self._namespace = namespace
        self._last = MetricsSnapshot({}, {}, {})
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # a synchronous client, which has its own thread
            self._loop = None
        self._thread = threading.get_ident()

    def collect(self) -> Iterator[Metric]:
        """The present metrics."""
        snapshot = self._last = self._snapshot()
        names, values = list(self._labels), list(self._labels.values())
        for name, count in snapshot.counters.items():
            counter = CounterMetricFamily(f"{self._namespace}_{name}", _words(name), labels=names)
            counter.add_metric(values, count)
            yield counter
        for name, value in snapshot.gauges.items():
            unit = name.removesuffix("_s") + "_seconds" if name.endswith("_s") else name
            gauge = GaugeMetricFamily(f"{self._namespace}_{unit}", _words(unit), labels=names)
            gauge.add_metric(values, value)
            yield gauge
        for name, histogram in snapshot.histograms.items():
            family = HistogramMetricFamily(
                f"{self._namespace}_{name}_seconds", _HELP.get(name, _words(name)), labels=names
            )
            family.add_metric(values, buckets=_cumulated(histogram), sum_value=histogram.sum_ns / 1e9)
            yield family

    def describe(self) -> list[Metric]:
        """Empty: the names are known from the snapshots only."""
        return []

    def _snapshot(self) -> MetricsSnapshot:
        loop = self._loop
        if loop is None or threading.get_ident() == self._thread:
            return self._client.metrics()
        future: Future[MetricsSnapshot] = Future()

        def take() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._client.metrics())
                except Exception as error:  # noqa: BLE001 - raised by the scrape
                    future.set_exception(error)

        try:
            loop.call_soon_threadsafe(take)
            return future.result(_PATIENCE_S)
        except (RuntimeError, TimeoutError):  # the loop is closed, or busy
            future.cancel()
            return self._last


class MetricsEndpoint:
    """A running HTTP endpoint; created by :func:`serve_metrics`."""

    def __init__(self, server: Any, thread: threading.Thread) -> None:
        self._server = server
        self._thread = thread
        self.port: int = server.server_port

    def close(self) -> None:
        """Stop listening. Idempotent."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def serve_metrics(
    client: _HasMetrics,
    *,
    port: int = 9100,
    host: str = "127.0.0.1",
    labels: Mapping[str, str] | None = None,
    registry: CollectorRegistry | None = None,
    namespace: str = "cryptoproto_client",
) -> MetricsEndpoint:
    """Serve the metrics at ``http://host:port/metrics``, in a thread.

    Args:
        client: the client; call this function in its event loop.
        port: 0 = any free port, see ``.port`` of the result.
        host: the address to listen on; anyone who can reach it can read the metrics.
        labels: as for :class:`ClientCollector`.
        registry: a custom registry, to which the client is added. For several clients, add a :class:`ClientCollector`
            for each to one registry.
        namespace: the prefix of all names.

    Raises:
        ConfigurationError: cannot listen on the address.
    """
    registry = CollectorRegistry() if registry is None else registry
    registry.register(ClientCollector(client, labels=labels, namespace=namespace))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return MetricsEndpoint(server, thread)


def _cumulated(histogram: HistogramSnapshot) -> list[tuple[str, float]]:
    counts = [0] * (len(_BOUNDS_NS) + 1)
    for upper, count in histogram.buckets:
        counts[bisect_left(_BOUNDS_NS, min(upper, histogram.max_ns))] += count
    cumulated: list[tuple[str, float]] = []
    total = 0
    for bound, count in zip((*map(str, _BOUNDS_S), "+Inf"), counts, strict=True):
        total += count
        cumulated.append((bound, total))
    return cumulated


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize() + "."
