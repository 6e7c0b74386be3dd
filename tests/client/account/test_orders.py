"""Orders: what is sent, what events make of them, and who waits for what."""

from __future__ import annotations

import asyncio
import decimal
import gc
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.account.account import Account
from cryptoproto.client.account.order import Order, OrderStatus, Side, TimeInForce, place_message
from cryptoproto.client.account.order_table import OrderTable
from cryptoproto.messages import (
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderClosed,
    BuyOrderPlaced,
    InsufficientFunds,
    OpenOrder,
    OpenOrders,
    OrderNotFound,
    OwnTrade,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    SetBalance,
    Unknown,
    UserOrdersResponse,
    decode,
    encode,
)
from tests.support.told import feed, told

TIME = (1, 0)
NONE, ONE, PRICE = Decimal(0), Decimal(1), Decimal(100)


def an_order(client_order_id: int | None = 7, amount: str = "1", **terms: Any) -> Order:
    return Order(
        client_order_id=client_order_id, trade_pair="BTC_USD", side=Side.BUY, amount=amount, price="100", **terms
    )


def placed(order_id: int = 1, client_order_id: int | None = 7, left: str = "1", amount: str = "1") -> BuyOrderPlaced:
    return BuyOrderPlaced(
        order_id,
        "BTC_USD",
        TIME,
        client_order_id,
        price=Decimal(100),
        initial_amount=Decimal(amount),
        amount=Decimal(left),
        closed_inline=not Decimal(left),
    )


def traded(amount: str, price: str = "100", *, maker: bool = False, order_id: int = 1, mine: int = 7) -> OwnTrade:
    return OwnTrade(order_id, "BTC_USD", Decimal(amount), Decimal(price), maker, maker, TIME, mine)


def changed(left: str, fee: str = "0", order_id: int = 1, client_order_id: int = 7) -> BuyOrderAmountChanged:
    return BuyOrderAmountChanged(order_id, "BTC_USD", TIME, client_order_id, amount=Decimal(left), fee=Decimal(fee))


def cancelled(order_id: int = 1, client_order_id: int | None = 7) -> BuyOrderCancelled:
    return BuyOrderCancelled(order_id, "BTC_USD", TIME, client_order_id)


def a_list(*rows: OpenOrder) -> UserOrdersResponse:
    return UserOrdersResponse({"BTC_USD": OpenOrders(buy=list(rows))} if rows else {})


@pytest.fixture
def account() -> Account:
    return Account(clock=lambda: 5)


@pytest.fixture
def table(account: Account) -> OrderTable:
    return account.orders


@pytest.fixture
def order(table: OrderTable) -> Order:
    order = an_order()
    table.add(order)
    return order


@pytest.mark.parametrize(
    ("side", "time_in_force", "kind"),
    [
        (Side.BUY, TimeInForce.GTC, PlaceBuyLimitOrder),
        (Side.SELL, TimeInForce.GTC, PlaceSellLimitOrder),
        (Side.BUY, TimeInForce.FOK, PlaceBuyFoKOrder),
        (Side.SELL, TimeInForce.FOK, PlaceSellFoKOrder),
        (Side.BUY, TimeInForce.IOC, PlaceBuyIoCOrder),
        (Side.SELL, TimeInForce.IOC, PlaceSellIoCOrder),
    ],
)
def test_the_right_one_of_the_six_messages(side: Side, time_in_force: TimeInForce, kind: type[cp.PlaceOrder]) -> None:
    message = place_message(
        "BTC_USD", side, amount="1.50", price=3, time_in_force=time_in_force, ttl=60, client_order_id=9
    )
    assert message == kind("BTC_USD", "1.5", 3, 9, 60)
    order = Order.of(message, created_ns=4)
    assert (order.side, order.time_in_force, order.created_ns) == (side, time_in_force, 4)
    assert order.message() == message


def test_floats_are_refused_with_the_reason() -> None:
    with pytest.raises(cp.ConfigurationError, match="float"):
        place_message("BTC_USD", Side.BUY, amount=0.1, price="1", client_order_id=1)  # type: ignore[arg-type]
    with pytest.raises(cp.ConfigurationError, match=r"price=.*float"):
        Order(client_order_id=1, trade_pair="BTC_USD", side=Side.BUY, amount="1", price=0.1)  # type: ignore[arg-type]


def test_an_order_that_is_filled_at_once(account: Account, table: OrderTable, order: Order) -> None:
    assert (order.status, order.remaining, order.filled, order.average_price) == (OrderStatus.PENDING, ONE, NONE, None)
    feed(account, traded("0.25", "90"), after=9)
    assert (order.status, order.order_id, order.filled, order.remaining) == (
        OrderStatus.PENDING,
        1,
        Decimal("0.25"),
        Decimal("0.75"),
    )
    feed(account, changed("0.75", "0.01"), traded("0.75", "98"), changed("0", "0.02"))
    assert table.open_orders() == []
    feed(account, placed(left="0"), after=19)
    assert (order.status, order.is_closed, order.is_open) == (OrderStatus.FILLED, True, False)
    assert order.average_price == Decimal(96)
    assert order.fees == Decimal("0.03")
    assert [trade.price for trade in order.trades] == [90, 98]
    assert (order.acknowledged_ns, order.closed_ns, order.changed_by) == (5, 5, 20)
    assert table.open_orders() == []
    assert table.get(1) is table.by_client_order_id(7) is order


def test_an_order_that_rests_and_is_filled_in_parts(account: Account, table: OrderTable, order: Order) -> None:
    feed(account, traded("0.2"), changed("0.8"), placed(left="0.8"))
    assert order.is_open
    assert table.open_orders() == [order]
    feed(account, traded("0.3", maker=True), changed("0.5"))
    assert order.filled == order.remaining == Decimal("0.5")
    feed(account, traded("0.5", maker=True), changed("0"), BuyOrderClosed(1, "BTC_USD", TIME, 7))
    assert order.status is OrderStatus.FILLED
    assert order.filled == 1


def test_a_fill_or_kill_order_that_is_killed(account: Account, order: Order) -> None:
    feed(account, placed(), cancelled())
    assert order.status is OrderStatus.CANCELLED
    assert (order.filled, order.remaining) == (NONE, ONE)


def test_what_was_taken_in_already_is_ignored(account: Account, order: Order) -> None:
    account.apply([told(5, traded("0.5")), told(5, traded("0.5")), told(None, cancelled()), told(4, cancelled())])
    feed(account, traded("0.5"), after=4)
    assert order.filled == Decimal("0.5")
    assert order.status is OrderStatus.PENDING
    assert (account.position, account.heard) == (5, 4)


def test_what_is_about_no_order_moves_the_position_alone(account: Account, order: Order) -> None:
    feed(
        account,
        SetBalance("USD", Decimal(1), Decimal(1), "trade", TIME),
        OrderNotFound(1),
        InsufficientFunds(3, "USD"),
        Unknown("Novelty", {}),
        OrderNotFound(2),
    )
    assert account.position == 4
    assert order.status is OrderStatus.PENDING


def test_an_order_that_was_placed_elsewhere(account: Account, table: OrderTable) -> None:
    feed(account, traded("0.4", order_id=3, mine=11))
    order = table.get(3)
    assert order is not None
    assert table.by_client_order_id(11) is order
    assert (order.is_open, order.terms_known, order.amount, order.time_in_force) == (True, False, Decimal("0.4"), None)
    feed(account, changed("0.6", order_id=3, client_order_id=11))
    assert (order.amount, order.filled, order.remaining, order.price) == (ONE, Decimal("0.4"), Decimal("0.6"), NONE)
    feed(account, placed(3, 11, "0.6"))
    assert (order.terms_known, order.amount, order.filled, order.price) == (True, ONE, Decimal("0.4"), PRICE)


def test_the_end_of_an_order_that_nothing_was_known_of(account: Account, table: OrderTable) -> None:
    feed(account, cancelled(3, None), BuyOrderClosed(4, "BTC_USD", TIME, None))
    assert [(order.order_id, order.status) for order in table] == [
        (3, OrderStatus.CANCELLED),
        (4, OrderStatus.FILLED),
    ]


def test_another_order_with_the_same_number_is_not_ours(account: Account, table: OrderTable, order: Order) -> None:
    """Somebody used the number before; ours is about to be refused for that."""
    other = OwnTrade(3, "ETH_USD", Decimal(1), Decimal(1), True, True, TIME, 7)
    feed(account, other)
    assert table.by_client_order_id(7) is order
    assert not order.trades
    table.reject(order, cp.DuplicateClientOrderId(1, "used"))
    assert order.status is OrderStatus.REJECTED


def test_a_number_is_used_once(table: OrderTable, order: Order) -> None:
    again = an_order()
    with pytest.raises(cp.DuplicateClientOrderId, match="used before"):
        table.add(again)
    table.reject(order, cp.TradesDisabled(3, "closed for today"))  # an error has not used it up
    table.add(again)
    assert table.by_client_order_id(7) is again
    table.reject(again, cp.InsufficientFundsError("USD"), order_id=8)  # this has
    assert table.get(8) is again
    with pytest.raises(cp.DuplicateClientOrderId):
        table.add(an_order())
    for nameless in (an_order(None), an_order(None)):
        table.add(nameless)


def test_rejected_not_sent_unknown(table: OrderTable) -> None:
    orders = [an_order(number) for number in range(3)]
    for order in orders:
        table.add(order)
    error = cp.InsufficientFundsError("USD")
    table.reject(orders[0], error)
    table.mark_not_sent(orders[1])
    table.mark_unknown(orders[2])
    assert [order.status for order in orders] == [OrderStatus.REJECTED, OrderStatus.NOT_SENT, OrderStatus.UNKNOWN]
    assert [order.is_closed for order in orders] == [True, True, False]
    assert orders[0].error is error
    assert isinstance(orders[1].error, cp.RequestNotSent)
    assert isinstance(orders[2].error, cp.OutcomeUnknown)
    assert len(table) == 3


@pytest.mark.parametrize("outcome", ["placed", "not sent", "rejected"])
def test_an_unknown_outcome_becomes_known(account: Account, table: OrderTable, order: Order, outcome: str) -> None:
    table.mark_unknown(order)
    if outcome == "placed":
        feed(account, placed())
        assert order.is_open
        assert order.error is None
    elif outcome == "not sent":
        table.mark_not_sent(order)
        assert order.status is OrderStatus.NOT_SENT
    else:
        table.reject(order, cp.TradesDisabled(3, ""))
        assert isinstance(order.error, cp.TradesDisabled)


def test_what_the_exchange_told_is_not_undone(account: Account, table: OrderTable, order: Order) -> None:
    feed(account, placed())
    table.mark_unknown(order)
    table.mark_not_sent(order)
    table.reject(order, cp.TradesDisabled(3, ""))
    assert order.is_open
    assert order.error is None


def test_the_exchange_knows_better(account: Account, table: OrderTable, order: Order) -> None:
    table.mark_not_sent(order)
    feed(account, placed())
    assert order.is_open
    assert not order.is_closed
    assert len(table) == 1
    assert table.open_orders() == [order]


def test_a_fill_of_a_resting_order_says_that_it_was_accepted(account: Account, order: Order) -> None:
    """A new process has the order from the outbox, and the word that it was accepted lies before its position."""
    feed(account, traded("0.5", maker=True), changed("0.5"))
    assert order.is_open
    assert order.acknowledged_ns == 5


def test_comparing_reports_and_corrects(account: Account, table: OrderTable) -> None:
    orders = [an_order(number) for number in range(6)]
    for order in orders:
        table.add(order)
    feed(account, *(placed(10 + number, number) for number in range(4)), cancelled(13, 3))
    rows = [
        OpenOrder(11, Decimal("0.5"), Decimal(100), 1),
        OpenOrder(12, Decimal(1), Decimal(99), 2),
        OpenOrder(13, Decimal(1), Decimal(100), 3),
        OpenOrder(14, Decimal("0.9"), Decimal(100), 4),
        OpenOrder(20, Decimal(2), Decimal(3)),
    ]
    found = [(each.what, each.order.order_id, each.here, each.there) for each in table.adopt(a_list(*rows))]
    assert found == [
        ("remaining", 11, 1, Decimal("0.5")),
        ("price", 12, 100, 99),
        ("not_open_here", 13, OrderStatus.CANCELLED, OrderStatus.OPEN),
        ("not_open_here", 14, OrderStatus.PENDING, OrderStatus.OPEN),
        ("remaining", 14, 1, Decimal("0.9")),
        ("not_known_here", 20, None, OrderStatus.OPEN),
        ("not_open_there", 10, OrderStatus.OPEN, OrderStatus.UNKNOWN),
    ]
    assert [order.order_id for order in table.open_orders()] == [11, 12, 13, 14, 20]
    assert orders[5].status is OrderStatus.PENDING  # no answer yet, and none of the list's business
    assert orders[0].is_closed
    assert table.adopt(a_list(*rows)) == []
    feed(account, cancelled(10, 0))  # late, but it says how it ended
    assert orders[0].status is OrderStatus.CANCELLED
    assert orders[0].error is None
    adopted = table.get(20)
    assert adopted is not None
    assert (adopted.amount, adopted.filled, adopted.price, adopted.terms_known) == (Decimal(2), NONE, Decimal(3), True)


def test_a_list_completes_the_terms(account: Account, table: OrderTable) -> None:
    feed(account, traded("0.4", maker=True), changed("0.6"))
    assert table.adopt(a_list(OpenOrder(1, Decimal("0.6"), Decimal(100), 7))) == []
    order = table.get(1)
    assert order is not None
    assert (order.terms_known, order.price, order.amount, order.filled) == (True, PRICE, ONE, Decimal("0.4"))


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


def test_events_survive_json(account: Account, order: Order) -> None:
    feed(account, *(decode(encode(message)) for message in (traded("0.5"), changed("0.5"), placed(left="0.5"))))
    assert order.remaining == Decimal("0.5")


def test_closed_orders_age_out_and_memory_stays_flat() -> None:
    account = Account(max_closed=100, clock=lambda: 5)
    table = account.orders
    price, amount = Decimal(100), Decimal(1)
    counts = []
    for number in range(1, 50_001):
        order = Order(client_order_id=number, trade_pair="BTC_USD", side=Side.BUY, amount=amount, price=price)
        table.add(order)
        if number % 7 == 0:
            table.reject(order, cp.InsufficientFundsError("USD"), order_id=number)
        elif number % 11 == 0:
            table.mark_not_sent(order)
        else:
            account.apply([told(2 * number, placed_quickly(number))])
        if number % 1000 == 0:
            account.apply([told(2 * number + 1, cancelled(-number, -number))])  # somebody else's
        if number in (5_000, 50_000):
            del order
            gc.collect()
            kinds = [type(each) for each in gc.get_objects()]
            counts.append((kinds.count(Order), len(table._by_order_id), len(table._by_client_order_id), len(kinds)))
    assert counts[0][:3] == counts[1][:3]
    assert counts[1][0] == len(table) == 100
    assert counts[1][3] - counts[0][3] < 100
    assert table.get(1) is None
    assert table.get(49_999) is not None


def placed_quickly(number: int) -> BuyOrderPlaced:
    return BuyOrderPlaced(
        number,
        "BTC_USD",
        TIME,
        number,
        price=Decimal(100),
        initial_amount=Decimal(1),
        amount=Decimal(0),
        closed_inline=True,
    )


def test_forgetting_none_and_all(account: Account) -> None:
    with pytest.raises(cp.ConfigurationError, match="max_closed"):
        Account(max_closed=-1)
    account = Account(max_closed=0)
    order = an_order()
    account.orders.add(order)
    feed(account, placed(left="0"))
    assert len(account.orders) == 0
    assert order.status is OrderStatus.FILLED
