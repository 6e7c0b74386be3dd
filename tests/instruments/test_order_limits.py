"""Pre-trade limits: what is refused, in which words, and against a naive model."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp

D = Decimal


@dataclass(frozen=True)
class Terms:
    trade_pair: str
    remaining: Decimal
    price: Decimal


def order(amount: str, price: str, trade_pair: str = "BTC_USD") -> Terms:
    return Terms(trade_pair, D(amount), D(price))


def a_book(bid: str = "99", ask: str = "101", trade_pair: str = "BTC_USD") -> cp.OrderBook:
    book = cp.OrderBook(trade_pair)
    book.apply(cp.OrderBookAgg(trade_pair, 1, {D(bid): D(1)}, {D(ask): D(1)}))
    return book


OPEN = [order("2", "100"), order("1", "50"), order("10", "20", "ETH_USD"), order("7", "1", "ETH_BTC")]


@pytest.mark.parametrize(
    ("limits", "asked", "words"),
    [
        ({"pairs": ["ETH_USD", "ETH_BTC"]}, order("1", "1"),
         ["trade_pair='BTC_USD' is not one of the pairs= of the limits: ETH_USD, ETH_BTC; correct the name"]),
        ({"max_amount": "2"}, order("2.5", "1"),
         ["amount=2.5 of BTC_USD exceeds the limit max_amount=2; use 2 or less, or raise the limit"]),
        ({"max_value": {"BTC_USD": 100}}, order("3.5", "30"),
         ["amount=3.5 at price=30 of BTC_USD is worth 105, which exceeds the limit max_value=100; ",
          "use an amount of 3.33333333 or less at this price, or raise the limit"]),
        ({"max_pair_open_value": "300"}, order("1", "51"),
         ["the open orders of BTC_USD are worth 250 USD, and with this order of 51 USD they exceed the limit ",
          "max_pair_open_value=300; use an amount of 0.98039215 or less at this price, cancel open orders, or raise"]),
        ({"max_open_value": {"USD": "450"}}, order("1", "1"),
         ["the open orders of all pairs in USD are worth 450 USD, ", "max_open_value=450; no amount is possible at"]),
        ({"max_open_value": {"USD": "400"}}, order("1", "1"), ["no amount is possible at this price, cancel open"]),
        ({"price_band": "0.05", "book": a_book()}, order("1", "105.01"),
         ["price=105.01 of BTC_USD is 5.01 % above the mid of the book, 100, and the limit is price_band=0.05; ",
          "use a price from 95 to 105, or raise the limit"]),
        ({"price_band": "0.05", "book": a_book()}, order("1", "90"), ["price=90 of BTC_USD is 10 % below the mid of"]),
        ({"price_band": "0.05", "book": cp.OrderBook("BTC_USD")}, order("1", "100"),
         ["the book of BTC_USD is stale, so the limit price_band=0.05 cannot be checked; wait for the book, ",
          'or use when_stale="allow"']),
    ],
)  # fmt: skip
def test_a_refusal_says_which_limit_and_what_to_do(limits: dict[str, Any], asked: Terms, words: list[str]) -> None:
    with pytest.raises(cp.OrderInvalid) as caught:
        cp.OrderLimits(**limits).check(asked, OPEN)
    for each in words:
        assert each in str(caught.value)
    assert caught.value.sent is False


def test_what_is_on_the_limit_is_allowed() -> None:
    limits = cp.OrderLimits(
        pairs=["BTC_USD"], max_amount="2", max_value="100", max_pair_open_value="350", max_open_value="550",
        price_band="0.5", book=a_book(),
    )  # fmt: skip
    limits.check(order("2", "50"), OPEN)
    limits.check(order("1", "100"), OPEN)


def test_what_a_mapping_does_not_name_is_not_limited() -> None:
    limits = cp.OrderLimits(
        max_amount={"ETH_USD": 1}, max_value={"ETH_USD": 1}, max_pair_open_value={"ETH_USD": 1},
        max_open_value={"EUR": 1}, price_band={"ETH_USD": "0.01"}, book=a_book(),
    )  # fmt: skip
    limits.check(order("1000", "1000"), OPEN)


def test_without_limits_everything_is_allowed() -> None:
    assert cp.OrderLimits().max_orders_per_second is None
    cp.OrderLimits().check(order("1E+40", "1E+10", "anything"), OPEN)


@pytest.mark.parametrize("asked", [order("1", "500"), order("1", "500", "ETH_USD")])
def test_without_a_mid_orders_can_be_allowed(asked: Terms) -> None:
    for book in (cp.OrderBook("BTC_USD"), lambda pair: None):
        cp.OrderLimits(price_band="0.05", book=book, when_stale="allow").check(asked)
        with pytest.raises(cp.OrderInvalid, match="cannot be checked"):
            cp.OrderLimits(price_band="0.05", book=book).check(asked)


def test_the_open_value_of_a_pair_that_is_no_pair() -> None:
    cp.OrderLimits(max_open_value="10").check(order("1", "1", "BTCUSD"), OPEN)


# Against a naive model

CENTS = st.integers(1, 2000).map(lambda units: D(units).scaleb(-2))
PAIRS = st.sampled_from(["BTC_USD", "ETH_USD", "ETH_BTC", "BTC_EUR"])
ORDERS = st.builds(Terms, PAIRS, CENTS, CENTS)


def by_name(names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    values = st.integers(1, 300)
    return st.none() | values | st.dictionaries(names, values, max_size=3)


@given(
    ORDERS,
    st.lists(ORDERS, max_size=6),
    by_name(PAIRS),
    by_name(PAIRS),
    by_name(PAIRS),
    by_name(st.sampled_from(["USD", "BTC", "EUR"])),
    st.none() | st.integers(1, 99),
    st.tuples(CENTS, CENTS),
)
def test_limits_agree_with_a_naive_model(
    asked: Terms,
    others: list[Terms],
    max_amount: Any,
    max_value: Any,
    max_pair_open_value: Any,
    max_open_value: Any,
    band: int | None,
    top: tuple[Decimal, Decimal],
) -> None:
    def limit(given: Any, key: str) -> Fraction | None:
        found = given.get(key) if isinstance(given, dict) else given
        return None if found is None else Fraction(found)

    def worth(each: Terms) -> Fraction:
        return Fraction(each.remaining) * Fraction(each.price)

    pair, quote = asked.trade_pair, asked.trade_pair[-3:]
    mid = (Fraction(top[0]) + Fraction(top[1])) / 2
    broken = set()
    for name, most, value in (
        ("max_amount", limit(max_amount, pair), Fraction(asked.remaining)),
        ("max_value", limit(max_value, pair), worth(asked)),
        ("max_pair_open_value", limit(max_pair_open_value, pair),
         sum(map(worth, [asked, *(each for each in others if each.trade_pair == pair)]))),
        ("max_open_value", limit(max_open_value, quote),
         sum(map(worth, [asked, *(each for each in others if each.trade_pair[-3:] == quote)]))),
        ("price_band", None if band is None else Fraction(band, 100) * mid, abs(Fraction(asked.price) - mid)),
    ):  # fmt: skip
        if most is not None and value > most:
            broken.add(name)
    limits = cp.OrderLimits(
        max_amount=max_amount,
        max_value=max_value,
        max_pair_open_value=max_pair_open_value,
        max_open_value=max_open_value,
        price_band=None if band is None else D(band).scaleb(-2),
        book=None if band is None else a_book(str(top[0]), str(top[1]), pair),
    )
    try:
        limits.check(asked, others)
    except cp.OrderInvalid as error:
        named = re.search(r"\b(max_\w+|price_band)=", str(error))
        assert named is not None
        assert named[1] in broken
        # What the error says would be allowed is allowed by that limit.
        if usable := re.search(r"use an amount of ([\d.]+) or less at this price", str(error)):
            given = {
                "max_value": max_value,
                "max_pair_open_value": max_pair_open_value,
                "max_open_value": max_open_value,
            }
            cp.OrderLimits(**{named[1]: given[named[1]]}).check(Terms(pair, D(usable[1]), asked.price), others)
    else:
        assert broken == set()


# Limits that cannot be used


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"pairs": "BTC_USD"}, r"pairs='BTC_USD' must be a list of pairs: write \['BTC_USD'\]"),
        ({"pairs": ["BTC"]}, "must name two currencies"),
        ({"max_amount": 0.5}, "max_amount=0.5 is a float"),
        ({"max_value": {"BTC_USD": "0"}}, r"max_value\['BTC_USD'\]=0 must be a finite number greater than zero"),
        ({"max_value": {"USD": "1"}}, "trade pair 'USD' must name two currencies"),
        ({"max_open_value": {"BTC_USD": "1"}}, "max_open_value: 'BTC_USD' must be a currency"),
        ({"max_open_value": {7: "1"}}, "max_open_value: 7 must be a currency"),
        ({"max_orders_per_second": 0}, "max_orders_per_second=0 must be a whole number, 1 or more"),
        ({"max_orders_per_second": 2.5}, "max_orders_per_second=2.5 must be a whole number, 1 or more"),
        ({"price_band": "0.05"}, "price_band= and book= belong together"),
        ({"book": a_book()}, "price_band= and book= belong together"),
        ({"price_band": "1", "book": a_book(), "when_stale": "no"}, "when_stale='no' must be \"refuse\" or \"allow\""),
        ({"pairs": ["A_B"], "max_value": {"A_B": 1, "A_C": 1}},
         r"max_value\['A_C'\] limits nothing, because pairs=\['A_B'\] does not allow it; correct the name, or add it"),
        ({"pairs": ["A_B", "C_D"], "max_open_value": {"D": 1, "A": 1}}, r"max_open_value\['A'\] limits nothing"),
        ({"price_band": "1", "book": 7}, "book=7 must be a MarketData, an OrderBook, or a function"),
    ],
)  # fmt: skip
def test_a_limit_that_cannot_be_used(limits: dict[str, Any], words: str) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        cp.OrderLimits(**limits)


def test_the_repr_names_the_limits() -> None:
    assert repr(cp.OrderLimits()) == "OrderLimits()"
    limits = cp.OrderLimits(
        pairs=["BTC_USD"], max_amount="1.50", max_open_value={"USD": 100}, max_orders_per_second=5, price_band="0.05",
        book=a_book(),
    )  # fmt: skip
    assert repr(limits) == (
        "OrderLimits(pairs=['BTC_USD'], max_amount='1.5', max_open_value={'USD': '100'}, max_orders_per_second=5, "
        "price_band='0.05', when_stale='refuse')"
    )
