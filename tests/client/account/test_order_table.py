"""All orders: what events, the client and the exchange's list make of them."""

from __future__ import annotations

import gc
from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.client.account.account import Account
from cryptoproto.client.account.order import Order, OrderStatus
from cryptoproto.client.account.order_table import OrderTable
from cryptoproto.messages import (
    BuyOrderCancelled,
    BuyOrderClosed,
    OpenOrder,
    OwnTrade,
    Side,
    decode,
    encode,
)
from tests.support.orders import (
    NONE,
    ONE,
    PRICE,
    TIME,
    a_list,
    an_order,
    cancelled,
    changed,
    placed,
    placed_quickly,
    traded,
)
from tests.support.told import feed, told


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
    assert table.open == []
    feed(account, placed(left="0"), after=19)
    assert (order.status, order.is_closed, order.is_open) == (OrderStatus.FILLED, True, False)
    assert order.average_price == Decimal(96)
    assert order.fees == Decimal("0.03")
    assert [trade.price for trade in order.trades] == [90, 98]
    assert (order.acknowledged_ns, order.closed_ns, order.changed_by) == (5, 5, 20)
    assert table.open == []
    assert table.get(1) is table.by_client_order_id(7) is order


def test_an_order_that_rests_and_is_filled_in_parts(account: Account, table: OrderTable, order: Order) -> None:
    feed(account, traded("0.2"), changed("0.8"), placed(left="0.8"))
    assert order.is_open
    assert table.open == [order]
    feed(account, traded("0.3", maker=True), changed("0.5"))
    assert order.filled == order.remaining == Decimal("0.5")
    feed(account, traded("0.5", maker=True), changed("0"), BuyOrderClosed(1, "BTC_USD", TIME, 7))
    assert order.status is OrderStatus.FILLED
    assert order.filled == 1


def test_the_latest_fills_of_all_orders(account: Account, table: OrderTable, order: Order) -> None:
    assert table.trades == []
    feed(account, traded("0.25", "90"), after=9)
    feed(account, traded("0.75", "98"), after=10)
    assert [trade.price for trade in table.trades] == [90, 98]
    feed(account, traded("0.25", "90"), after=9)
    assert len(table.trades) == 2, "a replay is ignored"
    for number in range(1_500):
        feed(account, traded("0.01", "97"), after=11 + number)
    assert len(table.trades) == 1_000
    table.trades.clear()
    assert len(table.trades) == 1_000, "it is a copy"


def test_a_fill_or_kill_order_that_is_killed(account: Account, order: Order) -> None:
    feed(account, placed(), cancelled())
    assert order.status is OrderStatus.CANCELLED
    assert (order.filled, order.remaining) == (NONE, ONE)


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


def test_what_the_exchange_has_reported_is_not_undone(account: Account, table: OrderTable, order: Order) -> None:
    feed(account, placed())
    table.mark_unknown(order)
    table.mark_not_sent(order)
    table.reject(order, cp.TradesDisabled(3, ""))
    assert order.is_open
    assert order.error is None


def test_an_order_that_was_never_sent_is_not_in_the_table(table: OrderTable) -> None:
    order = an_order(1)
    table.mark_not_sent(order)
    assert len(table) == 0
    assert order.status is OrderStatus.PENDING


def test_the_exchange_knows_better(account: Account, table: OrderTable, order: Order) -> None:
    table.mark_not_sent(order)
    feed(account, placed())
    assert order.is_open
    assert not order.is_closed
    assert len(table) == 1
    assert table.open == [order]


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
    assert [order.order_id for order in table.open] == [11, 12, 13, 14, 20]
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


def test_forgetting_none_and_all(account: Account) -> None:
    with pytest.raises(cp.ConfigurationError, match="max_closed"):
        Account(max_closed=-1)
    account = Account(max_closed=0)
    order = an_order()
    account.orders.add(order)
    feed(account, placed(left="0"))
    assert len(account.orders) == 0
    assert order.status is OrderStatus.FILLED


def test_a_table_says_how_many_orders_are_open_and_known(account: Account, table: OrderTable, order: Order) -> None:
    assert repr(table) == "<OrderTable: 0 open, 1 known>"
    feed(account, placed(), cancelled(2, None))
    assert repr(table) == "<OrderTable: 1 open, 2 known>"


@pytest.mark.parametrize(
    ("end", "status"),
    [(cancelled(), OrderStatus.CANCELLED), (BuyOrderClosed(1, "BTC_USD", TIME, 7), OrderStatus.FILLED)],
    ids=["cancelled", "closed"],
)
def test_the_end_of_an_order_says_that_it_was_accepted(
    account: Account, order: Order, end: BuyOrderCancelled | BuyOrderClosed, status: OrderStatus
) -> None:
    """The event that reported its placement lies before the position that a new process resumed from."""
    feed(account, end)
    assert (order.status, order.acknowledged_ns, order.order_id) == (status, 5, 1)


def test_an_order_that_was_withdrawn_is_not_known(table: OrderTable, order: Order) -> None:
    other = an_order(8)
    table.withdraw(other)  # it was never added
    assert list(table) == [order]
    table.withdraw(order)
    assert list(table) == []
    assert table.by_client_order_id(7) is None
    table.add(an_order())


def test_an_order_that_the_exchange_numbers_anew(account: Account, table: OrderTable, order: Order) -> None:
    feed(account, placed(1), placed(2))
    assert table.get(1) is None
    assert table.get(2) is order
    assert len(table) == 1


def test_a_forgotten_order_does_not_take_the_number_of_another(table: OrderTable) -> None:
    first, second = an_order(), an_order()
    table.add(first)
    table.reject(first, cp.TradesDisabled(3, ""))
    table.add(second)
    table.withdraw(first)
    assert table.by_client_order_id(7) is second


def test_what_has_not_ended(account: Account, table: OrderTable, order: Order) -> None:
    assert table.unfinished == [order], "it was sent, and has no answer"
    table.mark_unknown(order)
    assert table.unfinished == [order]
    feed(account, placed())
    assert table.unfinished == table.open == [order]
    feed(account, cancelled())
    assert table.unfinished == []


@pytest.mark.parametrize(
    ("messages", "repeats"),
    [
        ([placed(7, 70), placed(7, 70)], False),
        ([placed(7, 70), placed(7, None)], False),
        ([placed(7, None), placed(7, 70)], False),
        ([placed(7, 70), placed(8, 71)], False),
        ([placed(7, 70), placed(7, 71)], True),
        ([placed(7, 70), placed(7, 71), placed(8, 72)], True),
    ],
)
def test_an_order_id_that_another_order_has(messages: list[cp.OrderPlaced], repeats: bool) -> None:
    account = Account()
    for number, message in enumerate(messages, 1):
        account.apply([told(number, message)])
    assert account.orders.has_repeated_id is repeats
