"""What a client counts and measures."""

from __future__ import annotations

import asyncio
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.client.metrics import Histogram
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, trader, until_state
from tests.support.virtual_time import virtual


@given(st.lists(st.integers(0, 2**50), min_size=1, max_size=50), st.floats(0, 100))
def test_a_histogram_knows_every_value_within_three_per_cent(values: list[int], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    snapshot = histogram.snapshot()
    assert (snapshot.count, snapshot.sum_ns, snapshot.max_ns) == (len(values), sum(values), max(values))
    assert sum(count for _, count in snapshot.buckets) == len(values)
    bounds = [bound for bound, _ in snapshot.buckets]
    assert bounds == sorted(set(bounds))
    exact = sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]
    found = snapshot.percentile(percent)
    assert exact <= found <= exact + exact // 32


@pytest.mark.parametrize("value", [0, 1, 31, 32, 63, 64, 65, 127, 128, 1000, 2**40 - 1, 2**40, 2**62])
def test_bounds(value: int) -> None:
    histogram = Histogram()
    histogram.record(value)
    ((bound, count),) = histogram.snapshot().buckets
    assert (bound >= value, bound - value <= value // 32, count) == (True, True, 1)


def test_an_empty_one_and_a_clock_that_was_set_back() -> None:
    histogram = Histogram()
    assert histogram.snapshot().percentile(99) == 0
    histogram.record(-5)
    assert histogram.snapshot().buckets == [(0, 1)]


def test_memory_is_bounded() -> None:
    histogram = Histogram()
    for exponent in range(64):
        for step in range(200):
            histogram.record((1 << exponent) + (step << exponent) // 200)
    assert len(histogram.snapshot().buckets) < 2000


@virtual
async def test_counters_gauges_and_histograms_of_a_client(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    exchange = Exchange(private_key=exchange_key)
    line = Line(exchange)
    async with trader(line, alice_key, backoff=cp.Backoff(0.1)) as client:
        order = await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)
        with pytest.raises(cp.InsufficientFundsError):
            await client.place("BTC_USD", cp.Side.BUY, amount=1, price=10**9)
        await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)
        await client.cancel(order)
        await client.cancel_all()
        await client.balances()
        await anext(client.events())
        line.cut_at = {line.frames + 1}
        with pytest.raises(cp.RequestNotSent):
            await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1)
        await until_state(client, cp.State.LIVE)
        line.cut_at = {line.frames + 1}
        await client.place("BTC_USD", cp.Side.BUY, amount=1, price=1, resend="once")
        await asyncio.sleep(1)
        metrics = client.metrics()
        counters, gauges = metrics.counters, metrics.gauges
        record = exchange.venue.client("alice")
        assert record is not None
        assert counters == counters | {
            "events": record.end, "broadcasts": 0, "connections": 3, "disconnections": 2, "orders_sent": 6,
            "orders_acknowledged": 3, "orders_rejected": 1, "cancels_sent": 1, "cancel_alls_sent": 1, "not_sent": 1,
            "outcomes_unknown": 0, "resent": 1, "requests": 1, "throttled": 0,
        }  # fmt: skip
        assert gauges == gauges | {
            "queued_events": float(record.end - 1), "requests_in_flight": 0.0, "unanswered_messages": 0.0,
            "open_orders": 1.0, "connected": 1.0, "pacing_depth": 0.0, "pacing_hold_s": 0.0, "throttling_hold_s": 0.0,
        }  # fmt: skip
        counts = {name: each.count for name, each in metrics.histograms.items()}
        assert counts == {"order_to_acknowledgement": 3, "request_round_trip": 1, "receive_to_dispatch": 1}
        assert json.loads(json.dumps(metrics.as_dict()))["counters"] == counters
    assert client.metrics().gauges["connected"] == 0.0
