"""Profit and loss: against a naive ledger, and what prices and methods are accepted."""

from __future__ import annotations

import decimal
import os
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.history.pnl import PairLedger, profit_and_loss
from tests.support.naive_ledger import NaiveLedger, random_trades, trade_of

HISTORIES = int(os.environ.get("HISTORIES", "5000"))
"""For each method."""
ROUNDED = Fraction(1, 2 * 10**28)


@pytest.mark.parametrize("method", ["average", "fifo"])
def test_as_a_naive_ledger_on_random_histories(method: Any) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"SEED={seed}")  # noqa: T201 - shown when the test fails
    choice = random.Random(seed)
    kinds: set[str] = set()
    for _ in range(HISTORIES):
        naive, ledger = NaiveLedger(method), PairLedger("BTC_USD", method)
        trades = random_trades(choice)
        for trade in trades:
            naive.add(trade)
            ledger.add(trade)
        price = Decimal(choice.randint(1, 400)) / 4
        found = ledger.result(price)
        assert found.unrealised is not None
        assert found.total is not None
        error = Fraction(0) if method == "fifo" else ROUNDED
        assert Fraction(found.position) == naive.position
        assert Fraction(found.fees) == naive.fees
        assert abs(Fraction(found.realised) - naive.realised) <= error
        assert abs(Fraction(found.unrealised) - naive.unrealised(Fraction(price))) <= error
        assert abs(Fraction(found.total) - naive.cash - naive.position * Fraction(price)) <= 2 * error
        if naive.position:
            held = naive.longs or naive.shorts
            assert found.average_price is not None
            assert abs(Fraction(found.average_price) - sum(held, Fraction(0)) / len(held)) <= ROUNDED
        else:
            assert found.average_price is None
            assert Fraction(found.realised) == naive.cash  # exact, whatever the method rounds on the way
        kinds.add("long" if naive.position > 0 else "short" if naive.position else "flat")
    assert HISTORIES < 100 or kinds == {"long", "short", "flat"}  # it proves nothing otherwise


def result(method: Any, *trades: tuple[str, str, str], price: str | None = None, **more: Any) -> Any:
    records = [trade_of(number, side, Decimal(a), Decimal(p)) for number, (side, a, p) in enumerate(trades, 1)]
    prices = None if price is None else {"BTC_USD": price}
    return profit_and_loss(records, method, prices, more.get("begins"))["BTC_USD"]


def test_the_methods_differ_in_what_is_sold_first() -> None:
    trades = ("buy", "1", "100"), ("buy", "1", "102"), ("sell", "1", "110")
    average, fifo = result("average", *trades, price="105"), result("fifo", *trades, price="105")
    assert (average.realised, average.unrealised, average.average_price) == (9, 4, 101)
    assert (fifo.realised, fifo.unrealised, fifo.average_price) == (10, 3, 102)
    assert average.total == fifo.total == 13
    assert (average.trades, average.bought, average.sold, average.position) == (3, 2, 1, 1)


def test_a_trade_can_turn_a_position() -> None:
    found = result("fifo", ("buy", "1", "100"), ("sell", "3", "110"), ("buy", "1", "105"), price="100")
    assert (found.position, found.realised, found.unrealised, found.average_price) == (-1, 15, 10, 110)


def test_a_mean_without_an_end_is_rounded_and_the_sum_is_not() -> None:
    trades = ("buy", "1", "1"), ("buy", "2", "2"), ("sell", "1", "2")
    found = result("average", *trades)
    assert found.average_price == Decimal("1." + 27 * "6" + "7")
    assert found.realised == Decimal("0." + 28 * "3")
    assert result("average", *trades, ("sell", "2", "2")).realised == 1


def test_long_histories_keep_their_precision() -> None:
    ledger, cash = PairLedger("BTC_USD", "average"), Fraction(0)
    for number in range(3000):
        side, amount, price = ("buy", "sell")[number % 2], Decimal(1 + number % 7), Decimal(1 + number % 11)
        ledger.add(trade_of(number, side, amount, price))
        cash += Fraction(amount * price) * (1 if side == "sell" else -1)
    found = ledger.result(Decimal(5))
    assert found.total is not None
    assert abs(Fraction(found.total) - cash - Fraction(found.position) * 5) <= 2 * ROUNDED


def test_the_global_context_changes_nothing() -> None:
    with decimal.localcontext(prec=3):
        assert result("fifo", ("buy", "1.23456789", "1"), ("sell", "1.23456789", "2")).realised == Decimal("1.23456789")


def test_without_a_price_there_is_no_unrealised_result() -> None:
    found = result("average", ("buy", "1", "100"))
    assert (found.price, found.unrealised, found.total) == (None, None, None)
    flat = result("average", ("buy", "1", "100"), ("sell", "1", "90"))
    assert (flat.unrealised, flat.total, flat.realised) == (0, -10, -10)
    assert str(flat.unrealised) == "0"


def test_in_words() -> None:
    bought = ("buy", "1.50", "100")
    assert str(result("average", bought)) == "BTC_USD: position +1.5, realised 0 USD"
    assert str(result("fifo", bought, ("sell", "2", "110"), price="111")) == (
        "BTC_USD: position -0.5 at 111, realised 15, unrealised -0.5, total 14.5 USD"
    )
    assert str(result("fifo", bought, ("sell", "1.5", "90"))) == (
        "BTC_USD: position 0, realised -15, unrealised 0, total -15 USD"
    )


def test_only_what_is_in_the_range_counts_but_earlier_trades_make_the_position() -> None:
    trades = [trade_of(1, "buy", Decimal(2), Decimal(100)), trade_of(2, "sell", Decimal(1), Decimal(110))]
    found: Any = profit_and_loss(trades, "average", None, trades[1].time)["BTC_USD"]
    assert (found.trades, found.bought, found.sold, found.realised, found.position) == (1, 0, 1, 10, 1)


class Book:
    mid: Decimal | None = Decimal(101)


@pytest.mark.parametrize(
    "prices",
    [{"BTC_USD": "101"}, {"BTC_USD": Decimal(101)}, {"BTC_USD": 101}, {"BTC_USD": Book()}, lambda _pair: "101"],
    ids=["str", "Decimal", "int", "book", "function"],
)
def test_prices_are_numbers_or_books(prices: Any) -> None:
    trades = [trade_of(1, "buy", Decimal(1), Decimal(100))]
    found: Any = profit_and_loss(trades, "average", prices, None)["BTC_USD"]
    assert (found.price, found.unrealised) == (101, 1)


def test_a_book_of_the_feed_has_a_mid() -> None:
    book = cp.OrderBook("BTC_USD")
    trades = [trade_of(1, "buy", Decimal(1), Decimal(100))]
    assert profit_and_loss(trades, "fifo", {"BTC_USD": book}, None)["BTC_USD"].price is None  # it is empty
    levels = {Decimal(100): Decimal(1)}, {Decimal(104): Decimal(1)}
    book.apply(cp.OrderBookAgg("BTC_USD", 1, *levels))
    assert profit_and_loss(trades, "fifo", {"BTC_USD": book}, None)["BTC_USD"].unrealised == 2


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"BTC_USD": 1.5}, r"the price of BTC_USD=1\.5 is a float"),
        ({"BTC_USD": "-1"}, "the price of BTC_USD=-1 must be a finite number greater than zero"),
        ("101", "prices='101' must be a mapping of pairs"),
    ],
)
def test_prices_that_cannot_be_used(prices: Any, message: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=message):
        profit_and_loss([trade_of(1, "buy", Decimal(1), Decimal(100))], "average", prices, None)


def test_a_method_that_does_not_exist() -> None:
    method: Any = "lifo"
    with pytest.raises(cp.ConfigurationError, match='method=\'lifo\' must be "average" or "fifo"'):
        profit_and_loss([], method, None, None)


def test_plain_values() -> None:
    found = result("average", ("buy", "0.5", "100"), price="200").as_dict()
    assert found["realised"] == "0"
    assert (found["average_price"], found["unrealised"], found["total"]) == ("100", "50", "50")
