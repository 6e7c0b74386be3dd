"""Testing a bot with the fixtures of the package: ``pytest examples/test_my_bot.py``."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.testing import ClientMaker


async def buy_the_dip(client: cp.Client, *, below: str) -> cp.Order:
    """The bot under test: its order waits in the book until another client sells at a low price."""
    order = await client.place("BTC_USD", cp.Side.BUY, amount="1", price=below)
    return await order.wait_filled(timeout=5)


@pytest.mark.asyncio
async def test_it_buys(trading_client: cp.Client, make_trading_client: ClientMaker) -> None:
    seller = await make_trading_client("seller")
    await seller.place("BTC_USD", cp.Side.SELL, amount="1", price="14000")
    order = await buy_the_dip(trading_client, below="15000")
    assert order.average_price == 14000


@pytest.mark.asyncio
async def test_it_survives_a_restart_of_the_exchange(exchange: Exchange, trading_client: cp.Client) -> None:
    await exchange.restart()
    order = await trading_client.place("BTC_USD", cp.Side.BUY, amount="1", price="15000")
    with pytest.raises(cp.RequestTimeout):  # nobody sells
        await order.wait_filled(timeout=0.1)
    assert await trading_client.open_orders() == [order]
