"""The market maker of the examples quotes in whole ticks, whatever the middle of the book is."""

from __future__ import annotations

import asyncio
import runpy
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange

EXAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "market_maker.py"))
quotes_around: Callable[[Decimal], tuple[Decimal, Decimal] | None] = EXAMPLE["quotes_around"]
make_market: Callable[..., Any] = EXAMPLE["make_market"]


@pytest.mark.parametrize(
    ("middle", "quotes"),
    [
        ("15000", ("14995", "15005")),
        ("100.000000005", ("95.00", "105.01")),
        ("100.123456785", ("95.12", "105.13")),
        ("5.02", ("0.02", "10.02")),
        ("5", None),
        ("0.000000015", None),
    ],
)
def test_quotes_are_whole_ticks(middle: str, quotes: tuple[str, str] | None) -> None:
    expected = None if quotes is None else (Decimal(quotes[0]), Decimal(quotes[1]))
    assert quotes_around(Decimal(middle)) == expected


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
