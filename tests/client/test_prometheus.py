"""The exporter: what Prometheus reads."""

from __future__ import annotations

import asyncio
import sys
import threading
from urllib.request import ProxyHandler, build_opener

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

import cryptoproto as cp
from cryptoproto.client.metrics import Histogram, Metrics, MetricsSnapshot
from cryptoproto.client.prometheus import ClientCollector, serve_metrics
from cryptoproto.exchange import Exchange


class Source:
    def __init__(self) -> None:
        self.metered = Metrics()
        self.threads: list[int] = []

    def metrics(self) -> MetricsSnapshot:
        self.threads.append(threading.get_ident())
        return self.metered.snapshot({}, {"connected": 1.0, "pacing_hold_s": 0.25})


def read(url: str) -> str:
    with build_opener(ProxyHandler({})).open(url, timeout=5) as response:
        text: bytes = response.read()
    return text.decode()


def test_the_text() -> None:
    source = Source()
    for _ in range(3):
        source.metered.count("events")
    for duration_ns in (1, 1000, 1001, 3_000_000, 60_000_000_000):
        source.metered.request_round_trip.record(duration_ns)
    registry = CollectorRegistry()
    registry.register(ClientCollector(source, labels={"client": "alice"}))
    text = generate_latest(registry).decode()
    assert '\ncryptoproto_client_events_total{client="alice"} 3.0\n' in text
    assert '\ncryptoproto_client_orders_sent_total{client="alice"} 0.0\n' in text
    assert '\ncryptoproto_client_connected{client="alice"} 1.0\n' in text
    assert '\ncryptoproto_client_pacing_hold_seconds{client="alice"} 0.25\n' in text
    name = "cryptoproto_client_request_round_trip_seconds"
    assert f"# TYPE {name} histogram" in text
    buckets = {
        sample.labels["le"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    }
    assert buckets["1e-06"] in (1, 2)  # 1 µs is known within three per cent
    assert buckets["2e-06"] == buckets["0.002"] == 3
    assert buckets["0.005"] == buckets["50.0"] == 4
    assert buckets["+Inf"] == 5
    assert f'\n{name}_count{{client="alice"}} 5.0\n' in text
    assert f'\n{name}_sum{{client="alice"}} 60.003002002\n' in text


def test_buckets_agree_with_the_histogram() -> None:
    histogram = Histogram()
    values = [7**k % 10**11 for k in range(1000)]
    for value in values:
        histogram.record(value)
    source = Source()
    source.metered.receive_to_dispatch = histogram
    registry = CollectorRegistry()
    registry.register(ClientCollector(source))
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            if sample.name == "cryptoproto_client_receive_to_dispatch_seconds_bucket":
                bound = float(sample.labels["le"]) * 1e9
                assert sum(value <= bound / 1.04 for value in values) <= sample.value
                assert sample.value <= sum(value <= bound for value in values)


async def test_over_http_the_snapshot_is_taken_in_the_event_loop() -> None:
    source = Source()
    with serve_metrics(source, port=0) as endpoint:
        url = f"http://127.0.0.1:{endpoint.port}/metrics"
        text = await asyncio.to_thread(read, url)
        with pytest.raises(cp.ConfigurationError, match="cannot listen"):
            serve_metrics(source, port=endpoint.port)
    assert "cryptoproto_client_connected 1.0" in text
    assert set(source.threads) == {threading.get_ident()}
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_a_busy_loop_gives_the_last_snapshot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.client.prometheus._PATIENCE_S", 0.05)
    source = Source()
    collector = ClientCollector(source)
    assert list(collector.collect())
    source.metered.count("events")
    texts: list[float] = []

    def scrape() -> None:
        texts.extend(metric.samples[0].value for metric in collector.collect() if metric.name.endswith("_events"))

    thread = threading.Thread(target=scrape)
    thread.start()
    thread.join()  # the loop stands still meanwhile
    assert texts == [0.0]
    await asyncio.sleep(0)


async def test_a_snapshot_that_fails_fails_the_scrape() -> None:
    class Faulty:
        def metrics(self) -> MetricsSnapshot:
            raise ZeroDivisionError("by design")

    collector = ClientCollector(Faulty())
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(lambda: list(collector.collect()))
    await asyncio.get_running_loop().shutdown_default_executor()


async def test_a_real_client(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> None:
    async with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "1000"})
        async with cp.Client(
            exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key
        ) as client:
            await client.place("BTC_USD", cp.Side.BUY, amount="1", price="100")
            registry = CollectorRegistry()
            registry.register(ClientCollector(client))
            text = generate_latest(registry).decode()
    assert "\ncryptoproto_client_orders_acknowledged_total 1.0\n" in text
    assert "\ncryptoproto_client_order_to_acknowledgement_seconds_count 1.0\n" in text
    assert "\ncryptoproto_client_open_orders 1.0\n" in text


def test_without_the_library_it_says_which_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "cryptoproto.client.prometheus")
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(cp.ConfigurationError, match=r"cryptoproto\[metrics\]"):
        __import__("cryptoproto.client.prometheus")
