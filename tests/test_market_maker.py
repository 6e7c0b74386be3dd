"""The market maker of the examples quotes in whole ticks, whatever the middle of the book is."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange

EXAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "market_maker.py"))
make_market: Callable[..., Any] = EXAMPLE["make_market"]


async def test_a_middle_with_nine_decimals(
    alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Exchange(private_key=exchange_key) as exchange:
        for name in ("maker", "other"):
            exchange.register(name, alice_key.public_key, {"USD": "1000000", "BTC": "100"})
        options: dict[str, Any] = {"private_key": alice_key, "server_key": exchange.public_key}
        async with (
            cp.Client(exchange.url, client_id="other", **options) as other,
            cp.Client(exchange.url, client_id="maker", **options) as maker,
            cp.MarketData(exchange.market_data_url, pairs=["BTC_USD"]) as feed,
        ):
            await other.place("BTC_USD", cp.Side.BUY, amount="1", price="100.00000001")
            await other.place("BTC_USD", cp.Side.SELL, amount="1", price="200.00000002")
            quoting = make_market(maker, feed, requotes=1)

            async def move() -> None:
                while not await maker.open_orders():
                    pass
                await other.place("BTC_USD", cp.Side.BUY, amount="1", price="102.00000002")

            await asyncio.wait_for(asyncio.gather(quoting, move()), 30)
    assert capsys.readouterr().out == "quoting 145.00 / 155.01\n"
