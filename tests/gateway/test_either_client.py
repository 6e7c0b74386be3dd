"""A bot runs unchanged over a client with its own connection and over a gateway: one suite for both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest

import cryptoproto as cp
from cryptoproto.client.outcomes import Kind
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import GatewayClient
from tests.support.nats_server import NatsServer

Opened: TypeAlias = Callable[..., AbstractAsyncContextManager[cp.TradingClient]]


@pytest.fixture(params=["own connection", "gateway"])
def opened(request: pytest.FixtureRequest, exchange: Exchange, keys: dict[str, cp.PrivateKey]) -> Opened:
    """Opens a live client."""
    if request.param == "gateway":
        request.getfixturevalue("gateway")
        nats: NatsServer = request.getfixturevalue("nats")

    @asynccontextmanager
    async def open_client(**options: Any) -> AsyncIterator[cp.TradingClient]:
        client: cp.Client | GatewayClient
        if request.param == "gateway":
            client = GatewayClient(nats.url, client_id="alice", strategy="mm1", **options)
        else:
            client = cp.Client(
                exchange.url,
                client_id="alice",
                private_key=keys["alice"],
                server_key=exchange.public_key,
                backoff=cp.Backoff(initial=0.01, cap=0.05),
                **options,
            )
        async with client:
            await until_live(client)
            yield client

    return open_client


async def until_live(client: cp.TradingClient) -> None:
    async for change in client.states():
        if change.state is cp.State.LIVE:
            return


async def test_events_come_in_lists(opened: Opened) -> None:
    async with opened() as client:
        batches = client.batches()
        order = await client.place("BTC_USD", "buy", amount="1", price="15000")
        async with asyncio.timeout(20):
            async for batch in batches:
                if any(getattr(event.message, "order_id", None) == order.order_id for event in batch):
                    break


async def test_an_order_is_placed_and_cancelled(opened: Opened) -> None:
    async with opened() as client:
        order = await client.place("BTC_USD", "buy", amount="1", price="15000")
        assert order.is_open
        assert client.orders.open == [order]
        assert await client.cancel(order)
        await order.wait_closed(5)
        assert order.status is cp.OrderStatus.CANCELLED
        assert not await client.cancel(order)


async def test_an_order_is_cancelled_by_either_id(opened: Opened) -> None:
    async with opened() as client:
        first = await client.place("BTC_USD", "buy", amount="1", price="15000")
        second = await client.place("BTC_USD", "buy", amount="1", price="15000")
        assert await client.cancel(order_id=first.order_id)
        assert await client.cancel(client_order_id=second.client_order_id)
        assert not await client.cancel(order_id=99_999)
        with pytest.raises(cp.OrderInvalid, match="takes one of order"):
            await client.cancel()


async def test_an_order_is_replaced(opened: Opened) -> None:
    async with opened() as client:
        order = await client.place("BTC_USD", "buy", amount="1", price="15000")
        new = await client.replace(order, price="15001")
        await order.wait_closed(5)
        assert client.orders.open == [new]
        assert new.price == 15001
        with pytest.raises(cp.OrderNotOpen):
            await client.replace(order, price="15002")


async def test_everything_is_cancelled(opened: Opened) -> None:
    async with opened() as client:
        orders = [await client.place("BTC_USD", "buy", amount="0.1", price=str(price)) for price in range(100, 110)]
        await client.cancel_all()
        for order in orders:
            await order.wait_closed(5)
        assert await client.open_orders() == []


async def test_an_ioc_order_takes_what_is_there(
    opened: Opened, exchange: Exchange, keys: dict[str, cp.PrivateKey]
) -> None:
    async with (
        opened() as client,
        cp.Client(exchange.url, client_id="bob", private_key=keys["bob"], server_key=exchange.public_key) as bob,
    ):
        await bob.place("BTC_USD", "sell", amount="0.4", price="100")
        order = await client.place("BTC_USD", "buy", amount="1", price="100", time_in_force="ioc")
        await order.wait_closed(5)
        assert float(order.filled) == 0.4
        assert order.trades
        assert float((await client.balances())["BTC"].available) == 10.4


async def test_an_order_without_funds_is_refused(opened: Opened) -> None:
    async with opened() as client:
        with pytest.raises(cp.InsufficientFundsError) as caught:
            await client.place("BTC_USD", "buy", amount="1000", price="15000")
        assert caught.value.currency == "USD"
        assert (await client.place("BTC_USD", "buy", amount="1", price="1")).is_open


async def test_a_client_order_id_is_used_once(opened: Opened) -> None:
    async with opened() as client:
        first = await client.place("BTC_USD", "buy", amount="1", price="1")
        with pytest.raises(cp.DuplicateClientOrderId):
            await client.place("BTC_USD", "buy", amount="1", price="1", client_order_id=first.client_order_id)
        assert await client.open_orders() == [first]


async def test_an_order_that_can_never_be_valid_is_refused_here(opened: Opened) -> None:
    async with opened() as client:
        with pytest.raises(cp.OrderInvalid):
            await client.place("BTC_USD", "buy", amount="0.000000001", price="1")
        with pytest.raises(cp.OrderInvalid):
            await client.place("BTC_USD", "buy", amount=0.1, price="1")  # type: ignore[arg-type]  # a float is refused


async def test_an_order_that_the_exchange_refuses_is_an_error(opened: Opened) -> None:
    async with opened() as client:
        with pytest.raises((cp.ServerError, cp.OrderRejected)):
            await client.place("XXX_YYY", "buy", amount="1", price="1", timeout=5)
        await until_live(client)


async def test_a_request_is_answered(opened: Opened) -> None:
    async with opened() as client:
        response = await client.request(cp.UserBalanceRequest(), timeout=5)
        assert isinstance(response, cp.UserBalanceResponse)
        assert response.balances["USD"].available == 1000000


async def test_without_a_connection_a_command_is_not_sent(opened: Opened, exchange: Exchange) -> None:
    async with opened() as client:
        waiting = asyncio.ensure_future(until_waiting(client))
        await exchange.close()
        await waiting
        with pytest.raises(cp.RequestNotSent):
            await client.place("BTC_USD", "buy", amount="1", price="1", wait=False)
        with pytest.raises(cp.RequestNotSent):
            await client.place("BTC_USD", "buy", amount="1", price="1", wait=True, timeout=0.05)


async def until_waiting(client: cp.TradingClient) -> None:
    async for change in client.states():
        if change.state is cp.State.WAITING:
            return


async def test_a_closed_client_says_so(opened: Opened) -> None:
    async with opened() as client:
        pass
    with pytest.raises(cp.ClientClosed):
        await client.place("BTC_USD", "buy", amount="1", price="1", wait=True)


async def test_events_come_once_and_in_order(opened: Opened) -> None:
    async with opened() as client:
        events = client.events()
        orders = [await client.place("BTC_USD", "buy", amount="0.1", price=str(price)) for price in range(100, 110)]
        seen: list[cp.Event] = []
        async for event in events:
            seen.append(event)
            if sum(isinstance(each.message, cp.BuyOrderPlaced) for each in seen) == len(orders):
                break
        ids = [event.transaction_id or 0 for event in seen]
        assert ids == sorted(set(ids))
        placed = [event.message.order_id for event in seen if isinstance(event.message, cp.BuyOrderPlaced)]
        assert placed == [order.order_id for order in orders]


async def test_the_next_process_goes_on_after_the_stored_position(opened: Opened, tmp_path: Any) -> None:
    path = tmp_path / "bot.db"
    async with opened(store=path) as client:
        first = await client.place("BTC_USD", "buy", amount="0.1", price="100")
        await until_placed(client, first)
    async with opened(store=path) as client:
        second = await client.place("BTC_USD", "buy", amount="0.1", price="101")
        seen = await until_placed(client, second)
        assert not any(getattr(each.message, "client_order_id", None) == first.client_order_id for each in seen[1:])
        assert {order.order_id for order in client.orders.open} == {first.order_id, second.order_id}


async def until_placed(client: cp.TradingClient, order: cp.Order) -> list[cp.Event]:
    seen: list[cp.Event] = []
    async for event in client.events():
        seen.append(event)
        if isinstance(event.message, cp.BuyOrderPlaced) and event.message.order_id == order.order_id:
            break
    return seen


async def test_the_outcome_of_a_call_that_was_cancelled_is_reported(opened: Opened) -> None:
    async with opened() as client:
        reports = client.reports()
        placing = asyncio.ensure_future(client.place("BTC_USD", "buy", amount="0.1", price="100"))
        while not list(client.orders):  # noqa: ASYNC110 - it is sent, and not answered
            await asyncio.sleep(0)
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing
        async for report in reports:
            assert isinstance(report, cp.OutcomeReport)
            assert report.kind is Kind.PLACE
            assert report.error is None
            break
