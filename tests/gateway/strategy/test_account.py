"""What concerns one strategy of several."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.gateway.calls import Snapshot
from cryptoproto.gateway.strategy.account import StrategyAccount
from cryptoproto.gateway.strategy_ids import strategy_ids
from cryptoproto.messages import OpenOrder, OpenOrders

OWN, OTHER = (strategy_ids(number).next() for number in (1, 2))


def placed(transaction: int, order_id: int, client_order_id: int | None) -> cp.Event:
    message = cp.BuyOrderPlaced(
        order_id=order_id,
        trade_pair="BTC_USD",
        time=(0, 0),
        initial_amount=Decimal(1),
        amount=Decimal(1),
        price=Decimal(100),
        client_order_id=client_order_id,
        closed_inline=False,
    )
    return cp.Event(transaction, 0.0, message, 0, b"{}")


def event(transaction: int, **attributes: Any) -> cp.Event:
    """An event with a message that has only these attributes."""
    message: Any = type("Message", (), attributes)()
    return cp.Event(transaction, 0.0, message, 0, b"{}")


def account(*, sees_all: bool = False) -> StrategyAccount:
    tables = StrategyAccount(sees_all=sees_all)
    tables.number = 1
    return tables


@pytest.mark.parametrize(
    ("attributes", "concerns"),
    [
        ({}, True),
        ({"order_id": None}, True),
        ({"order_id": 1, "client_order_id": OWN}, True),
        ({"order_id": 1, "client_order_id": OTHER}, False),
        ({"order_id": 10}, True),
        ({"order_id": 20}, False),
        ({"order_id": 10, "client_order_id": None}, True),
    ],
)
def test_whose_event_it_is(attributes: dict[str, Any], concerns: bool) -> None:
    tables = account()
    tables.apply([placed(1, 10, OWN), placed(2, 20, OTHER)])
    assert tables.concerns(event(3, **attributes)) is concerns
    assert account(sees_all=True).concerns(event(3, **attributes))


@pytest.mark.parametrize(("sees_all", "expected"), [(False, [10]), (True, [10, 20])])
def test_the_orders_of_others_are_not_in_the_table(sees_all: bool, expected: list[int]) -> None:
    tables = account(sees_all=sees_all)
    tables.apply([placed(1, 10, OWN), placed(2, 20, OTHER)])
    assert [order.order_id for order in tables.account.orders.open] == expected


@pytest.mark.parametrize(("sees_all", "expected"), [(False, [10, 11]), (True, [10, 11, 20])])
def test_the_tables_of_the_owner_are_adopted(sees_all: bool, expected: list[int]) -> None:
    rows = [OpenOrder(number, Decimal(1), Decimal(100), of) for number, of in ((10, OWN), (20, OTHER))]
    book = OpenOrders(rows, [OpenOrder(11, Decimal(1), Decimal(101), strategy_ids(1).next())])
    tables = account(sees_all=sees_all)
    balance = cp.Balance(available=Decimal(7), on_hold=Decimal(0))
    tables.adopt(Snapshot(9, {"BTC_USD": book}, {"USD": balance}), whole=False, asked_ns=0)
    assert sorted(order.order_id or 0 for order in tables.account.orders.open) == expected
    assert tables.balances.all() == {"USD": balance}


@pytest.mark.parametrize("sees_all", [True, False])
@pytest.mark.parametrize(("accepted_ns", "stays"), [(99, False), (100, True)])
def test_an_order_that_a_reply_has_accepted_since_then_is_left_alone(
    accepted_ns: int, stays: bool, sees_all: bool
) -> None:
    """The snapshot may be older. If it is not, the order has ended in between."""
    tables = account(sees_all=sees_all)
    for side, order_id in ((cp.BuyOrderPlaced, 10), (cp.SellOrderPlaced, 11)):
        message = side(
            order_id=order_id,
            trade_pair="BTC_USD",
            time=(0, 0),
            initial_amount=Decimal(1),
            amount=Decimal(1),
            price=Decimal(100),
            client_order_id=strategy_ids(1).next(),
            closed_inline=False,
        )
        tables.account.orders.handlers()[side](message, -1, accepted_ns)
    differences = tables.adopt(Snapshot(9, {}, {}), whole=False, asked_ns=100)
    assert [order.order_id for order in tables.account.orders.open] == ([10, 11] if stays else [])
    assert len(differences) == (0 if stays else 2)


def test_an_order_that_an_event_has_accepted_before_the_snapshot_has_ended() -> None:
    tables = account()
    tables.apply([placed(1, 10, OWN)])
    tables.adopt(Snapshot(9, {}, {}), whole=False, asked_ns=0)
    assert tables.account.orders.open == []
