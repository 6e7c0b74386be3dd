"""``TradingClient`` is a part of ``Client``, and enough for a bot."""

from __future__ import annotations

import inspect
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, trader
from tests.support.virtual_time import virtual

MEMBERS = sorted(name for name in vars(cp.TradingClient) if not name.startswith("_"))


def test_it_has_what_bots_use() -> None:
    assert MEMBERS == [
        "balances", "batches", "cancel", "cancel_all", "events", "instruments", "open_orders", "orders", "place",
        "replace", "reports", "request", "state", "states",
    ]  # fmt: skip


@pytest.mark.parametrize("name", MEMBERS)
def test_a_client_has_each_member_with_the_same_parameters(name: str) -> None:
    """mypy checks the types, see below; this checks the names, in both directions."""
    wanted, ours = inspect.getattr_static(cp.TradingClient, name), inspect.getattr_static(cp.Client, name)
    assert type(wanted) is type(ours)
    if isinstance(wanted, property):
        return
    assert inspect.iscoroutinefunction(wanted) is inspect.iscoroutinefunction(ours)
    parameters = list(inspect.signature(wanted).parameters)
    beyond = [each for each in inspect.signature(ours).parameters if each not in parameters]
    assert beyond == (["resend"] if name == "place" else [])  # a matter of links, which not every client has
    assert [each for each in inspect.signature(ours).parameters if each in parameters] == parameters


if TYPE_CHECKING:

    def a_client_is_one(client: cp.Client) -> cp.TradingClient:
        return client


async def bot(client: cp.TradingClient) -> Decimal:
    """Buys, asks for more, and has it cancelled."""
    order = await client.place("BTC_USD", "buy", amount=1, price=100)
    order = await client.replace(order, price=101)
    assert client.orders.open == await client.open_orders() == [order]
    async for event in client.events():
        if isinstance(event.message, cp.BuyOrderPlaced) and event.message.price == 101:
            break
    await client.cancel(order)
    await client.cancel_all()
    assert isinstance(await client.request(cp.UserOrdersRequest()), cp.UserOrdersResponse)
    return (await client.balances())["USD"].available


@virtual
async def test_a_bot_runs_on_a_client(exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(Exchange(private_key=exchange_key)), alice_key) as client:
        assert await bot(client) == 1_000_000
