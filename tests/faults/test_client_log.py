"""The check of a log is strict: what was never sent has an outcome only where that is right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client_log import Story, Truth, check_outcomes

CANCEL = [["asking", "cancel", 7], ["told", "cancel", 7, "OrderNotOpen"]]
REPLACE = [
    ["replacing", 7, 2], ["asking", "cancel", 7], ["asking", "place", 2],
    ["told", "cancel", 7, "OrderNotOpen"], ["told", "place", 2, "RequestNotSent"],
]  # fmt: skip
FILLED = [(1, '{"@type":"BuyOrderClosed","trade_pair":"BTC_USD","order_id":7,"time":[1,0]}')]


def check(lines: list[list[Any]], history: list[tuple[int, str]]) -> None:
    story = Story([["started", [], []], *lines, ["outbox", []], ["ended"]])
    check_outcomes(story, Truth(history, received=[]))


def test_an_order_that_was_filled_is_not_replaced_and_nothing_is_sent() -> None:
    check(REPLACE, FILLED)


@pytest.mark.parametrize(
    ("lines", "history"), [(CANCEL, FILLED), (REPLACE, [])], ids=["a cancel is always sent", "it was not filled"]
)
def test_any_other_order_is_not_said_to_be_closed_unless_the_exchange_said_so(
    lines: list[list[Any]], history: list[tuple[int, str]]
) -> None:
    with pytest.raises(AssertionError):
        check(lines, history)
