"""An account, and an order that it has just placed."""

from __future__ import annotations

import pytest

from cryptoproto.client.account.account import Account
from cryptoproto.client.account.order import Order
from cryptoproto.client.account.order_table import OrderTable
from tests.support.orders import (
    an_order,
)


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
