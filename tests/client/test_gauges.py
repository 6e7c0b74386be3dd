"""The gauges of a client."""

from __future__ import annotations

import asyncio

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, trader
from tests.support.virtual_time import virtual


@virtual
async def test_gauges(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    line = Line(Exchange(private_key=exchange_key))
    client = trader(line, alice_key, order_rate=1)
    assert set(client.metrics().gauges.values()) == {0.0}
    async with client:
        await client.place("BTC_USD", "buy", amount=1, price=100)
        placing = asyncio.create_task(client.place("BTC_USD", "buy", amount=1, price=100))
        asking = asyncio.create_task(client.balances())
        await asyncio.sleep(0)
        gauges = client.metrics().gauges
        assert gauges["pacing_hold_s"] > 0.9
        assert {name: value for name, value in gauges.items() if value and name != "pacing_hold_s"} == {
            "queued_events": 2.0,
            "requests_in_flight": 1.0,
            "pacing_depth": 1.0,
            "open_orders": 1.0,
            "connected": 1.0,
        }
        await placing
        await asking
        assert client.metrics().gauges["open_orders"] == 2.0
