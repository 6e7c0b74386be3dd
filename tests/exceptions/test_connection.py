"""Errors of a connection and its end."""

from __future__ import annotations

import cryptoproto as cp


def test_a_server_error_quotes_the_exchange() -> None:
    error = cp.InvalidPayload(2, "amount is missing")
    assert (error.error_type, error.text) == (2, "amount is missing")
    assert str(error) == "the exchange reports error 2: amount is missing"


def test_the_end_of_a_connection_says_code_and_reason() -> None:
    error = cp.ServerRestart(1012, "back in a minute", position=9)
    assert (error.code, error.reason, error.position) == (1012, "back in a minute", 9)
    assert str(error) == "connection closed with code 1012: back in a minute"


def test_the_end_of_a_connection_without_a_code() -> None:
    error = cp.ConnectionClosed(None, "")
    assert error.position is None
    assert str(error) == "connection closed without a close code: no reason given"


def test_a_rewound_history_says_both_positions_and_what_to_do() -> None:
    error = cp.HistoryRewound(42, 17)
    assert (error.position, error.exchange_position, error.code) == (42, 17, None)
    assert "at transaction 17" in str(error)
    assert "processed transaction 42" in str(error)
    assert "new store" in str(error)
    assert str(error) == error.reason


def test_a_history_that_an_order_shows_to_be_rewound() -> None:
    error = cp.HistoryRewound(42, 42, "order")
    assert "order id 42 to a second order, or opened order 42 again" in str(error)
    assert "new store" in str(error)
