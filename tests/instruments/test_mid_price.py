"""The mid of a book, wherever the book comes from."""

from __future__ import annotations

from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.instruments.mid_price import BookSource, mid_reader

D = Decimal


def a_book(*, asks: bool = True) -> cp.OrderBook:
    book = cp.OrderBook("BTC_USD")
    book.apply(cp.OrderBookAgg("BTC_USD", 1, {D(99): D(1)}, {D(101): D(1)} if asks else {}))
    return book


async def test_a_feed_a_book_or_a_function() -> None:
    feed = cp.MarketData("ws://127.0.0.1:1", pairs=["BTC_USD"])
    feed.book("BTC_USD").apply(cp.OrderBookAgg("BTC_USD", 1, {D(99): D(1)}, {D(101): D(1)}))
    sources: list[BookSource] = [feed, a_book(), lambda pair: a_book() if pair == "BTC_USD" else None]
    for source in sources:
        assert mid_reader(source)("BTC_USD") == 100
        assert str(mid_reader(source)("ETH_USD")).startswith("there is no book of ETH_USD")


def test_why_there_is_no_mid() -> None:
    assert mid_reader(cp.OrderBook("BTC_USD"))("BTC_USD") == "the book of BTC_USD is stale"
    assert mid_reader(a_book(asks=False))("BTC_USD") == "a side of the book of BTC_USD is empty"


def test_what_is_no_source_of_books() -> None:
    with pytest.raises(
        cp.ConfigurationError, match=r"book='BTC_USD' must be a MarketData, an OrderBook, or a function"
    ):
        mid_reader("BTC_USD")  # type: ignore[arg-type]
