"""What a client holds, has in the market and has traded, against the book."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import cryptoproto as cp
from cryptoproto.messages import Balance
from cryptoproto.status.positions import FillTotals, position_rows
from tests.support.scripted_feed import book


def an_open(side: str, price: str, amount: str, pair: str = "BTC_USD") -> cp.Order:
    return cp.Order(client_order_id=None, trade_pair=pair, side=side, amount=amount, price=price)


def traded(*trades: tuple[str, str, str]) -> FillTotals:
    totals = FillTotals()
    for side, amount, price in trades:
        totals.add(
            cp.OwnTrade(1, "BTC_USD", Decimal(amount), Decimal(price), maker=True, maker_buy=side == "buy", time=(1, 0))
        )
    return totals


def holding(**amounts: str) -> dict[str, Balance]:
    return {currency: Balance(Decimal(amount), Decimal(1)) for currency, amount in amounts.items()}


def rows_of(*arguments: Any) -> dict[str, dict[str, Any]]:
    return {row["trade_pair"]: row for row in position_rows(*arguments)}


async def test_a_position_with_everything() -> None:
    feed = cp.MarketData("ws://127.0.0.1:1")
    feed.book("BTC_USD").apply(book(1, {"99": "1"}, {"101": "2"}))
    orders = [an_open("buy", "98", "1"), an_open("buy", "97", "2"), an_open("sell", "103", "4"),
              an_open("sell", "102", "1")]  # fmt: skip
    fills = {"BTC_USD": traded(("buy", "3", "90"), ("sell", "1", "110"))}
    assert position_rows(orders, fills, holding(BTC="4"), feed) == [
        {
            "trade_pair": "BTC_USD", "position": "5", "value": "500.0", "best_bid": "99", "best_ask": "101",
            "mid": "100.0", "is_stale": False, "buying": "3", "selling": "5", "own_best_bid": "98",
            "own_best_ask": "102", "fills": 2, "bought": "3", "sold": "1", "net": "2", "profit": "40.0",
        }
    ]  # fmt: skip


async def test_without_a_feed_there_are_no_prices_of_the_market() -> None:
    row = rows_of([], {"BTC_USD": traded(("sell", "1", "110"))}, {}, None)["BTC_USD"]
    assert row["is_stale"] is True
    assert [row[name] for name in ("position", "value", "best_bid", "best_ask", "mid", "profit")] == [None] * 6
    assert row["net"] == "-1"


async def test_which_pairs_are_shown() -> None:
    feed = cp.MarketData("ws://127.0.0.1:1")
    feed.book("BTC_USD").apply(book(1, {"99": "1"}, {}))
    feed.book("BTC_EUR").apply(book(1, {}, {}, pair="BTC_EUR"))  # nothing could be traded
    feed.book("ETH_USD").apply(book(1, {"9": "1"}, {"10": "1"}, pair="ETH_USD"))  # and none is held
    rows = rows_of([an_open("buy", "1", "1", "XRP_USD")], {}, holding(BTC="1"), feed)
    assert list(rows) == ["BTC_USD", "XRP_USD"]
    assert (rows["BTC_USD"]["best_bid"], rows["BTC_USD"]["best_ask"], rows["BTC_USD"]["value"]) == ("99", None, None)
