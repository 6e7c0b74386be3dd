"""One order: its numbers, and who waits for what."""

from __future__ import annotations

import asyncio
import decimal
import inspect
import json
import re
from decimal import Decimal
from fractions import Fraction

import pytest

import cryptoproto as cp
from cryptoproto.client.account.account import Account
from cryptoproto.client.account.order import (
    Order,
)
from cryptoproto.client.account.order_table import OrderTable
from cryptoproto.messages import (
    BuyOrderClosed,
)
from tests.support.orders import (
    TIME,
    a_list,
    an_order,
    cancelled,
    changed,
    placed,
    traded,
)
from tests.support.told import feed


async def test_waiting_for_milestones(account: Account, order: Order) -> None:
    waits = [asyncio.create_task(wait()) for wait in (order.wait_acknowledged, order.wait_filled, order.wait_closed)]
    await asyncio.sleep(0)
    feed(account, placed())
    assert await order.wait_acknowledged() is order
    await asyncio.sleep(0.001)
    assert [wait.done() for wait in waits] == [True, False, False]
    feed(account, traded("1", maker=True), changed("0"), BuyOrderClosed(1, "BTC_USD", TIME, 7))
    assert await asyncio.gather(*waits) == [order, order, order]
    assert await order.wait_filled(timeout=0) is order


async def test_many_wait_and_some_give_up(account: Account, order: Order) -> None:
    waits = [asyncio.create_task(order.wait_acknowledged()) for _ in range(100)]
    await asyncio.sleep(0)
    for wait in waits[::2]:
        wait.cancel()
    await asyncio.sleep(0)
    assert len(order.waiters or ()) == 50  # those who have left are forgotten at once
    feed(account, placed())
    assert not order.waiters
    results = await asyncio.gather(*waits, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False] * 50


async def test_a_wait_ends_by_its_deadline(order: Order) -> None:
    for wait in (order.wait_acknowledged, order.wait_filled, order.wait_closed):
        with pytest.raises(cp.RequestTimeout, match="within"):
            await wait(timeout=0.001)
        with pytest.raises(TimeoutError):
            await wait(timeout=0)
    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):  # of another one's making, which stays what it is
            async with asyncio.timeout(0.001):
                await order.wait_closed()


async def test_those_who_wait_for_a_rejected_order_get_the_reason(table: OrderTable, order: Order) -> None:
    waits = [asyncio.create_task(order.wait_acknowledged()) for _ in range(2)]
    closed = asyncio.create_task(order.wait_closed())
    await asyncio.sleep(0)
    table.reject(order, cp.TradesDisabled(3, "closed for today"))
    errors = await asyncio.gather(*waits, return_exceptions=True)
    assert [str(error) for error in errors] == [str(order.error)] * 2
    assert len({id(error) for error in (*errors, order.error)}) == 3
    assert order.error is not None
    assert order.error.__traceback__ is None
    assert await closed is order
    with pytest.raises(cp.TradesDisabled):
        await order.wait_filled()


async def test_waiting_through_an_unknown_outcome(account: Account, table: OrderTable, order: Order) -> None:
    first = asyncio.create_task(order.wait_acknowledged())
    await asyncio.sleep(0)
    table.mark_unknown(order)
    with pytest.raises(cp.OutcomeUnknown):
        await first
    truth = asyncio.create_task(order.wait_acknowledged())
    await asyncio.sleep(0)
    assert not truth.done()
    feed(account, placed())
    assert await truth is order


async def test_nobody_waits_for_a_client_that_is_closed(account: Account, table: OrderTable, order: Order) -> None:
    done = an_order(8)
    table.add(done)
    feed(account, placed(2, 8, "0"))
    waits = [asyncio.create_task(wait()) for wait in (order.wait_acknowledged, order.wait_filled, order.wait_closed)]
    await asyncio.sleep(0)
    table.end(cp.ConnectionClosed(1000, "the client is closed"))
    waits.append(asyncio.create_task(order.wait_closed()))
    errors = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(error) for error in errors] == [cp.ConnectionClosed] * 4
    assert len({id(error) for error in errors}) == 4
    assert await done.wait_filled() is done


async def test_an_order_that_ends_unfilled(account: Account, table: OrderTable, order: Order) -> None:
    wait = asyncio.create_task(order.wait_filled())
    await asyncio.sleep(0)
    feed(account, placed(), cancelled())
    with pytest.raises(cp.OrderNotFilled, match=r"cancelled, 1 of it not filled"):
        await wait
    gone = an_order(8)
    table.add(gone)
    feed(account, placed(2, 8))
    table.adopt(a_list())
    assert await gone.wait_closed() is gone
    assert await gone.wait_acknowledged() is gone
    with pytest.raises(cp.OrderNotFilled, match="unknown"):
        await gone.wait_filled()


def fraction(amount: str, price: str) -> Fraction:
    return Fraction(amount) * Fraction(price)


def test_no_global_context_is_touched_or_needed(account: Account, order: Order) -> None:
    before = decimal.getcontext().copy()
    with decimal.localcontext(prec=2):
        feed(account, traded("0.12345678", "15000.12345678"), traded("0.33333333", "15001.00000001"))
        assert order.filled == Decimal("0.45679011")
        assert order.average_price is not None
        exact = (fraction("0.12345678", "15000.12345678") + fraction("0.33333333", "15001.00000001")) / fraction(
            "0.45679011", "1"
        )
        assert abs(Fraction(order.average_price) - exact) < Fraction(1, 10**34)
    assert str(decimal.getcontext()) == str(before)


def test_an_order_says_what_it_is(account: Account, order: Order) -> None:
    assert repr(order) == "<order of 7: buy 1 BTC_USD at 100, pending, 0 filled>"
    feed(account, traded("0.5"))
    assert repr(order) == "<order 1: buy 1 BTC_USD at 100, pending, 0.5 filled>"


async def test_waking_passes_over_a_wait_that_was_cancelled_in_the_same_turn(account: Account, order: Order) -> None:
    waits = [asyncio.create_task(order.wait_acknowledged()) for _ in range(2)]
    await asyncio.sleep(0)
    waits[0].cancel()
    feed(account, placed())
    assert await waits[1] is order
    with pytest.raises(asyncio.CancelledError):
        await waits[0]


async def test_a_wait_that_ends_as_its_deadline_passes_returns_the_order(account: Account, order: Order) -> None:
    loop = asyncio.get_running_loop()
    wait = asyncio.create_task(order.wait_acknowledged(timeout=60))
    await asyncio.sleep(0)
    time = loop.time
    loop.time = lambda: time() + 61  # type: ignore[method-assign]
    loop.call_at(0, feed, account, placed())  # due earlier, so it runs first, in the same turn
    assert await wait is order


def test_as_a_dict(account: Account, order: Order) -> None:
    feed(account, placed(), traded("0.25", maker=True), changed("0.75", fee="0.001"))
    fields = order.as_dict()
    assert json.loads(json.dumps(fields)) == fields
    documented = re.findall(r"^    (\w+): ", inspect.getdoc(Order) or "", re.MULTILINE)
    assert set(fields) == {*documented, "filled", "average_price"} - {"waiters"}
    assert (fields["side"], fields["status"], fields["time_in_force"]) == ("buy", "open", "gtc")
    assert (fields["remaining"], fields["filled"], fields["fees"]) == ("0.75", "0.25", "0.001")
    assert fields["trades"] == [order.trades[0].as_dict()]
    order.error = cp.OrderRejected("no")
    assert order.as_dict()["error"] == "OrderRejected: no"
    difference = cp.OrderDifference(order, "remaining", Decimal(1), Decimal("0.5"))
    assert difference.as_dict() == {
        "order": order.as_dict(), "what": "remaining", "here": "1", "there": "0.5",
    }  # fmt: skip
