"""Which events are applied, and that each is applied once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cryptoproto.client.account.account import Account
from cryptoproto.client.account.order import Order, OrderStatus
from cryptoproto.messages import (
    InsufficientFunds,
    OrderNotFound,
    SetBalance,
    Unknown,
)
from tests.support.orders import (
    TIME,
    cancelled,
    placed,
    traded,
)
from tests.support.told import feed, told


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


@pytest.mark.parametrize("maker", [False, True])
def test_a_trade_changes_the_order_and_the_balance(account: Account, order: Order, maker: bool) -> None:
    feed(account, SetBalance("USD", Decimal(900), Decimal(-100), "on_hold", TIME), traded("0.5", maker=maker))
    assert order.filled == Decimal("0.5")
    assert account.balances.get("USD").on_hold == (50 if not maker else 100 - 50)


def test_broadcasts_are_counted_and_change_nothing(account: Account) -> None:
    account.apply([told(None, placed()), told(1, placed()), told(None, OrderNotFound(1))])
    assert (account.heard, account.broadcasts, account.position) == (1, 2, 1)
    account.apply([])
    assert (account.heard, account.broadcasts, account.position) == (1, 2, 1)
