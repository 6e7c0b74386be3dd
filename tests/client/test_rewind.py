"""Answers that show that the exchange was restored from a backup, and those that do not."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.account.account import Account
from cryptoproto.client.rewind import rewound_by
from tests.support.orders import placed
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
