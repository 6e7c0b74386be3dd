"""Messages go out as their answers allow; each level is placed once, each order cancelled once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from tests.support.lines import until
from tests.support.quoting import PAIR, ScriptedClient
from tests.support.virtual_time import virtual


@asynccontextmanager
async def quoting(**options: Any) -> AsyncIterator[tuple[ScriptedClient, cp.Quotes]]:
    client = ScriptedClient()
    quotes = cp.Quotes(client, PAIR, **({"cancel_on_exit": False} | options))
    await quotes.start()
    try:
        yield client, quotes
    finally:
        await quotes.close()


async def waiting(client: ScriptedClient, count: int) -> list[cp.Order]:
    await until(lambda: len(client.calls) == count)
    return list(client.calls)


async def quote(client: ScriptedClient, quotes: cp.Quotes, *bids: tuple[str, str]) -> list[cp.Order]:
    """Place *bids*, and accept them."""
    update = asyncio.ensure_future(quotes.update(bids))
    orders = await waiting(client, len(bids))
    for order in orders:
        client.accept(order)
        client.calls[order].set_result(True)
    assert len((await update).placed) == len(bids)
    return orders


async def test_a_place_waits_for_the_cancel_in_its_way_only() -> None:
    async with quoting() as (client, quotes):
        low, lower = await quote(client, quotes, ("100", "1"), ("99", "1"))
        update = asyncio.ensure_future(quotes.update([("102", "1"), ("101", "1")]))
        assert await waiting(client, 2) == [low, lower]
        client.end(lower)
        client.calls[lower].set_result(True)
        await until(lambda: lower not in client.calls and len(client.calls) == 2)
        first = list(client.calls)[1]
        assert first.price == 102
        client.accept(first)
        client.calls[first].set_result(True)
        await until(lambda: first not in client.calls)
        assert list(client.calls) == [low]  # the other one would exceed what is wanted in all
        client.end(low)
        client.calls[low].set_result(True)
        await until(lambda: low not in client.calls and len(client.calls) == 1)
        (second,) = client.calls
        client.accept(second)
        client.calls[second].set_result(True)
        result = await update
        assert (set(result.placed), set(result.cancelled), result.failed) == ({first, second}, {low, lower}, ())


async def test_what_waits_for_a_cancel_without_an_answer_fails() -> None:
    async with quoting() as (client, quotes):
        (old,) = await quote(client, quotes, ("100", "1"))
        update = asyncio.ensure_future(quotes.update([("101", "1")]))
        await waiting(client, 1)
        client.calls[old].set_exception(cp.OutcomeUnknown("no answer"))
        result = await update
        assert [type(each.error) for each in result.failed] == [cp.OutcomeUnknown, cp.RequestNotSent]
        assert "in its way may still be open" in str(result)
        assert result.failed[0].order is old
        again = await quotes.update([("101", "1")])  # still without an answer: not cancelled again, nothing placed
        assert [type(each.error) for each in again.failed] == [cp.RequestNotSent]
        assert client.calls == {}


async def test_an_order_that_is_gone_already_is_not_cancelled() -> None:
    async with quoting() as (client, quotes):
        (old,) = await quote(client, quotes, ("100", "1"))
        update = asyncio.ensure_future(quotes.cancel())
        await waiting(client, 1)
        client.end(old)
        client.calls[old].set_result(False)
        assert await update == cp.QuoteUpdate()


async def test_a_level_that_is_filled_during_the_update_is_not_placed_again() -> None:
    async with quoting() as (client, quotes):
        update = asyncio.ensure_future(quotes.update([("100", "1")]))
        (order,) = await waiting(client, 1)
        client.accept(order)
        client.tell(cp.BuyOrderClosed(order.order_id or 0, PAIR, (1, 0), order.client_order_id))
        client.calls[order].set_result(True)
        result = await update
        assert (result.placed, result.kept, result.failed) == ((order,), (), ())


async def test_a_fault_in_a_client_reaches_the_caller() -> None:
    async with quoting() as (client, quotes):
        update = asyncio.ensure_future(quotes.update([("100", "1")]))
        (order,) = await waiting(client, 1)
        client.calls[order].set_exception(ZeroDivisionError("a fault"))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await update
            update = asyncio.ensure_future(quotes.update([("100", "1")]))
        with pytest.raises(ZeroDivisionError):
            await update


@virtual
async def test_closing_finishes_an_update() -> None:
    async with quoting() as (client, quotes):
        update = asyncio.ensure_future(quotes.update([("100", "1")]))
        (order,) = await waiting(client, 1)
        closing = asyncio.ensure_future(quotes.close())
        await asyncio.sleep(1)
        assert not closing.done()
        client.accept(order)
        client.calls[order].set_result(True)
        assert (await update).placed == (order,)
        assert await closing == cp.QuoteUpdate()


@virtual
async def test_closing_ends_what_waits_for_too_long() -> None:
    async with quoting() as (client, quotes):
        update = asyncio.ensure_future(quotes.update([("100", "1")]))
        (order,) = await waiting(client, 1)
        await quotes.close(timeout=3)
        assert client.calls == {}
        assert order.status is cp.OrderStatus.PENDING
        with pytest.raises(cp.ConfigurationError, match="closed"):
            await update


@virtual
async def test_closing_after_a_fault() -> None:
    async with quoting(cancel_on_exit=True) as (client, quotes):
        update = asyncio.ensure_future(quotes.update([("100", "1")]))
        (order,) = await waiting(client, 1)
        client.calls[order].set_exception(ZeroDivisionError("a fault"))
        with pytest.raises(ZeroDivisionError):
            await update


async def test_a_fill_during_the_request_for_the_balance_is_counted_once() -> None:
    client = ScriptedClient()
    order = cp.Order(client_order_id=1, trade_pair=PAIR, side="sell", amount=5, price=100)
    client.orders.add(order)
    asked = 0

    def fill() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            order.set_remaining(Decimal(4))

    client.before_balance = fill
    quotes = cp.Quotes(client, PAIR, flat_at=9, cancel_on_exit=False)
    await quotes.start()
    assert asked == 2
    assert quotes.position == 1
    await quotes.close()


async def test_starting_can_be_cancelled() -> None:
    quotes = cp.Quotes(ScriptedClient(), PAIR)
    starting = asyncio.ensure_future(quotes.__aenter__())
    await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    with pytest.raises(cp.ConfigurationError, match="closed"):
        await quotes.start()


async def test_a_caller_that_leaves_during_the_start_leaves_the_others() -> None:
    async with quoting() as (client, _):
        quotes = cp.Quotes(client, PAIR, cancel_on_exit=False)
        first = asyncio.ensure_future(quotes.update([("100", "1")]))
        await asyncio.sleep(0)
        first.cancel()
        await quotes.start()
        assert quotes.position == 0
        await quotes.close()


async def test_a_fault_during_the_start_reaches_the_caller() -> None:
    client = ScriptedClient()
    client.before_balance = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        async with cp.Quotes(client, PAIR):
            raise AssertionError("it started")
