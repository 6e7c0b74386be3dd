"""Which order a cancel is for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, client_of, patient, trader, until_state
from tests.support.peer import Script
from tests.support.virtual_time import virtual

PAIR = "BTC_USD"


@pytest.fixture
def exchange(exchange_key: cp.PrivateKey) -> Exchange:
    return Exchange(private_key=exchange_key)


@virtual
async def test_an_order_is_cancelled_by_whatever_names_it(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(exchange), alice_key) as client:
        for kind in range(4):
            order = await client.place(PAIR, "buy", amount=1, price=100)
            names: list[dict[str, Any]] = [
                {"order": order},
                {"order": order.order_id},
                {"order_id": order.order_id},
                {"client_order_id": order.client_order_id},
            ]
            assert await client.cancel(**names[kind])
            assert order.status is cp.OrderStatus.CANCELLED
            assert not await client.cancel(**names[kind])


@virtual
async def test_client_order_ids_can_come_from_outside(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(exchange), alice_key, order_ids=iter([5, 6]).__next__) as client:
        orders = [
            await client.place(PAIR, "buy", amount=1, price=100, client_order_id=given) for given in (None, 7, None)
        ]
    assert [order.client_order_id for order in orders] == [5, 7, 6]


@virtual
async def test_a_client_order_id_that_nobody_used(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(exchange), alice_key) as client:
        assert client.orders.by_client_order_id(7) is None
        assert not await client.cancel(client_order_id=7)
        assert client.metrics().counters["cancels_sent"] == 0


@virtual
async def test_a_client_order_id_is_looked_up_once_all_orders_are_known(
    exchange: Exchange, alice_key: cp.PrivateKey
) -> None:
    line = Line(exchange)
    async with trader(line, alice_key) as client:
        await client.place(PAIR, "buy", amount=1, price=100, client_order_id=7)
    line.is_down = True
    next_process = trader(line, alice_key)
    async with next_process as client:
        with pytest.raises(cp.RequestNotSent):
            await client.cancel(client_order_id=7, wait=False)
        with pytest.raises(cp.RequestNotSent, match="deadline"):
            await client.cancel(client_order_id=7, timeout=3)
        cancelling = asyncio.create_task(client.cancel(client_order_id=7, timeout=100))
        await asyncio.sleep(1)
        line.is_down = False
        assert await cancelling
        await until_state(client, cp.State.LIVE)
        assert await client.open_orders() == []


@virtual
async def test_exactly_one_order_has_to_be_given(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({}, "none were given"),
        ({"order": 7, "order_id": 7}, "2 were given"),
        ({"order_id": 7, "client_order_id": 7}, "2 were given"),
        ({"order": 7, "order_id": 7, "client_order_id": 7}, "3 were given"),
        ({"order_id": "7"}, "order_id='7' must be an int"),
        ({"client_order_id": 7.0}, "client_order_id=7.0 must be an int"),
        ({"client_order_id": True}, "client_order_id=True must be an int"),
    ]
    async with client_of(script, alice_key) as client:
        for arguments, words in wrong:
            with pytest.raises(cp.OrderInvalid, match=words) as caught:
                await client.cancel(**arguments)
            assert caught.value.sent is False
        assert script.peer.messages == []


@virtual
async def test_an_order_without_an_order_id_cannot_be_cancelled(exchange: Exchange, alice_key: cp.PrivateKey) -> None:
    async with trader(Line(exchange), alice_key) as client:
        order = cp.Order(client_order_id=8, trade_pair=PAIR, side="buy", amount=1, price=1)
        with pytest.raises(cp.OrderRejected, match="no order id"):
            await client.cancel(order)
