"""A trading client's own counts and latencies arrive in the license request."""

from __future__ import annotations

import cryptoproto as cp
from cryptoproto.client.metrics import Histogram
from cryptoproto.exchange import Exchange
from cryptoproto.licensing.agent.client_activity import ClientActivity, _cumulative, source_of
from cryptoproto.licensing.request.activity import EXTERNAL_BOUNDS_NS, ActivityRecorder


async def test_a_client_is_read(alice_key: cp.PrivateKey) -> None:
    async with Exchange() as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "1000000"})
        async with cp.Client(
            exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key
        ) as client:
            source = source_of(client)
            assert isinstance(source, ClientActivity)
            first = await client.place("BTC_USD", cp.Side.BUY, amount="1", price="1")
            await client.place("ETH_USD", cp.Side.BUY, amount="1", price="1")
            await client.cancel(first)
            await client.cancel_all()
            reading = source.metrics()
    assert (reading.create_order, reading.cancel_order, reading.cancel_all_orders) == (2, 1, 1)
    assert (reading.symbols, reading.accounts, reading.users) == (2, 1, 1)
    assert reading.external_latency.counts[-1] == 2
    assert reading.external_latency.sum_ns > 0
    assert list(reading.external_latency.counts) == sorted(reading.external_latency.counts)


def test_a_recorder_is_taken_as_it_is() -> None:
    recorder = ActivityRecorder()
    assert source_of(recorder) is recorder


def test_durations_fall_below_the_bounds_of_the_request() -> None:
    histogram = Histogram()
    for duration_ns in (1, 9_000, 11_000, 90_000, 5_000_000, 20_000_000_000):
        histogram.record(duration_ns)
    told = _cumulative(histogram.snapshot(), EXTERNAL_BOUNDS_NS)
    assert told.counts == (2, 4, 4, 5, 5, 5, 6)
    assert told.sum_ns == sum((1, 9_000, 11_000, 90_000, 5_000_000, 20_000_000_000))
