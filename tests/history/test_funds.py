"""Balances over time, with those that there were before."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.histories import Writer, balance, trade


def shown(history: Any, **limits: float) -> list[tuple[str, str, str, str]]:
    return [
        (record.currency, f"{record.available.normalize():f}", f"{record.on_hold.normalize():f}", record.reason)
        for record in history.balances(**limits)
    ]


def test_the_opening_balance_is_what_was_stated_less_what_had_changed(writer: Writer, history: Any) -> None:
    writer.commit(
        balance("USD", "900", "-100", "on_hold", at=1),
        trade(1, "1", "60", at=2),
        balance("BTC", "11", "1", at=2),
    )
    writer.state(USD=("900", "45"), BTC=("11", "0"), ETH=("3", "1"))  # 5 USD were on hold before
    writer.commit(balance("USD", "940", "40", "on_hold", at=3))
    assert shown(history) == [
        ("BTC", "10", "0", "opening"),
        ("ETH", "3", "1", "opening"),
        ("USD", "1000", "5", "opening"),
        ("USD", "900", "105", "on_hold"),
        ("USD", "900", "45", "trade"),
        ("BTC", "11", "0", "trade"),
        ("USD", "940", "5", "on_hold"),
    ]
    assert [record.currency for record in history.balances("BTC")] == ["BTC", "BTC"]
    opening = next(history.balances())
    assert opening.transaction_id == -1
    assert opening.time.timestamp() == 1  # before the first event


def test_without_a_statement_events_say_what_there_was(writer: Writer, history: Any) -> None:
    writer.commit(trade(1, "1", "60", side="sell"), balance("USD", "160", "60"))
    assert shown(history)[:1] == [("USD", "100", "0", "opening")]
    assert shown(history)[1:] == [("BTC", "0", "-1", "trade"), ("USD", "160", "0", "trade")]


def test_an_account_without_events(writer: Writer, history: Any) -> None:
    assert shown(history) == []
    writer.state(USD=("5", "0"))
    assert shown(history) == [("USD", "5", "0", "opening")]


def test_a_range_begins_with_what_there_was_then(writer: Writer, history: Any) -> None:
    writer.commit(balance("USD", "101", "1", at=10), balance("USD", "102", "1", at=20))
    writer.commit(balance("USD", "103", "1", at=30))
    assert shown(history, since=20, until=30) == [("USD", "101", "0", "opening"), ("USD", "102", "0", "trade")]
    (opening,) = history.balances(since=31)
    assert (opening.available, opening.transaction_id, opening.time.timestamp()) == (103, 3, 31)


@pytest.mark.parametrize("since", [25, 30, 35])
def test_a_later_range_begins_at_a_statement(writer: Writer, history: Any, since: int) -> None:
    writer.commit(balance("USD", "101", "1", at=10))
    writer.state(USD=("101", "0"))
    writer.commit(balance("USD", "102", "1", at=20))
    writer.state(USD=("102", "7"))
    writer.commit(balance("USD", "103", "1", at=30), balance("USD", "104", "1", at=40))
    expected = [("USD", "103", "7", "trade")] if since <= 30 else []
    first = "102" if since <= 30 else "103"
    assert shown(history, since=since) == [
        ("USD", first, "7", "opening"),
        *expected,
        ("USD", "104", "7", "trade"),
    ]


def test_a_statement_that_differs_corrects_what_was_computed(writer: Writer, history: Any) -> None:
    writer.commit(balance("USD", "101", "1", at=10))
    writer.state(USD=("101", "0"))
    writer.commit(balance("USD", "102", "1", at=20))
    writer.state(USD=("102", "7"))
    writer.commit(balance("USD", "103", "1", at=30))
    writer.state(USD=("99", "7"))
    assert shown(history)[1:] == [
        ("USD", "101", "0", "trade"),
        ("USD", "102", "0", "trade"),
        ("USD", "102", "7", "stated"),
        ("USD", "103", "7", "trade"),
        ("USD", "99", "7", "stated"),
    ]
    assert [record.change for record in history.balances()][-1] == -4
