"""Answers that show that the exchange was restored from a backup, and those that do not."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.account.account import Account
from cryptoproto.client.rewind import rewound_before, rewound_by
from cryptoproto.messages import OpenOrder
from tests.support.orders import ONE, PRICE, a_list, cancelled, placed
from tests.support.told import told


@pytest.fixture
def account() -> Account:
    """It has order 7 of the client, with client order id 70, and order 8 of somebody without one."""
    account = Account()
    account.apply([told(11, placed(7, 70)), told(12, placed(8, None))])
    return account


@pytest.mark.parametrize(
    "message",
    [
        placed(7, 70),
        placed(7, None),
        placed(8, 71),
        placed(9, 71),
        cp.OrderNotFound(7),
    ],
    ids=["again", "without a number", "of nobody", "new", "no order"],
)
def test_an_answer_to_what_was_sent(account: Account, message: Any) -> None:
    assert rewound_by(message, 13, account.orders, 12) is None


def test_an_order_id_of_another_order(account: Account) -> None:
    error = rewound_by(placed(7, 71), 13, account.orders, 12)
    assert isinstance(error, cp.HistoryRewound)
    assert (error.position, error.exchange_position, error.what) == (7, 7, "order")


@pytest.mark.parametrize("transaction_id", [1, 12])
def test_a_transaction_id_that_has_settled_something(account: Account, transaction_id: int) -> None:
    error = rewound_by(placed(9, 71), transaction_id, account.orders, 12)
    assert isinstance(error, cp.HistoryRewound)
    assert (error.position, error.exchange_position, error.what) == (12, transaction_id, "transaction")


def open_order(order_id: int) -> OpenOrder:
    return OpenOrder(order_id, ONE, PRICE)


def test_an_order_that_is_open_after_its_end(account: Account) -> None:
    account.apply([told(13, cancelled(7))])
    error = rewound_before(a_list(open_order(8), open_order(7)), 13, 13, account.orders)
    assert isinstance(error, cp.HistoryRewound)
    assert (error.position, error.exchange_position, error.what) == (7, 7, "order")


def test_orders_that_may_be_open(account: Account) -> None:
    """Open ones, one that is not known here, and one whose end no event has reported."""
    account.orders.adopt(a_list(open_order(7)))
    order = account.orders.get(8)
    assert order is not None
    assert order.status is cp.OrderStatus.UNKNOWN
    assert rewound_before(a_list(open_order(7), open_order(8), open_order(9)), 12, 12, account.orders) is None
    assert rewound_before(cp.Unknown("Something", {}), 13, 12, account.orders) is None


def test_a_replay_that_ends_too_early(account: Account) -> None:
    error = rewound_before(a_list(), 11, 12, account.orders)
    assert isinstance(error, cp.HistoryRewound)
    assert (error.position, error.exchange_position, error.what) == (12, 11, "transaction")
