"""Errors of the gateway."""

from __future__ import annotations

import pickle

import cryptoproto as cp
from cryptoproto.exceptions import GatewayError, HistoryTruncated, OwnershipLost


def test_a_truncated_history_says_both_transactions_and_what_to_do() -> None:
    error = HistoryTruncated(5, 9)
    assert (error.position, error.first, error.code) == (5, 9, None)
    assert "begins at transaction 9" in str(error)
    assert "position 5" in str(error)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.position, copy.first, str(copy)) == (5, 9, str(error))


def test_what_a_strategy_has_to_catch() -> None:
    assert issubclass(HistoryTruncated, cp.ConnectionClosed)
    assert issubclass(OwnershipLost, GatewayError)
