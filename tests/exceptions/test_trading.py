"""Errors of calls, orders and files."""

from __future__ import annotations

import pytest

import cryptoproto as cp


def test_whether_a_call_was_sent_follows_from_its_error() -> None:
    assert cp.RequestNotSent("not connected").sent is False
    assert cp.OutcomeUnknown("the link was lost").sent is True
    assert cp.RequestTimeout("no reply in 5 s").sent is None  # the timeout may have struck while the call was queued


def test_a_closed_client_is_a_request_that_was_not_sent() -> None:
    with pytest.raises(cp.RequestNotSent, match="closed") as caught:
        raise cp.ClientClosed("the client is closed")
    assert caught.value.sent is False


def test_insufficient_funds_name_the_currency_and_the_order() -> None:
    error = cp.InsufficientFundsError("USD", 7)
    assert (error.currency, error.order_id) == ("USD", 7)
    assert str(error) == "not enough USD for the order (order id 7)"
    assert str(cp.InsufficientFundsError("BTC")) == "not enough BTC for the order"


def test_a_journal_error_names_the_file() -> None:
    error = cp.JournalError("/data/journal.db", "page 3 is damaged")
    assert (error.path, error.text) == ("/data/journal.db", "page 3 is damaged")
    assert str(error) == "/data/journal.db: page 3 is damaged"


def test_a_recording_error_names_the_file() -> None:
    error = cp.RecordingError("/data/monday.rec", "the block at byte 4096 is damaged")
    assert (error.path, error.text) == ("/data/monday.rec", "the block at byte 4096 is damaged")
    assert str(error) == "/data/monday.rec: the block at byte 4096 is damaged"
