"""Wanted levels: rounded passively, added up, and refused one by one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.quotes.levels import Granularity, crosses, read_levels, total
from tests.support.quoting import BUY, SELL, ladders

FREE = cp.Instrument("BTC_USD")
COARSE = cp.Instrument("BTC_USD", tick_size="0.5", lot_size="0.1", min_amount="0.2", min_value="10")


def test_levels_are_as_written_best_first() -> None:
    wanted = read_levels([("99", 1), (Decimal(100), "2")], iter([("102", "1"), ("101", "1")]), FREE)
    assert wanted.sides == ladders({"100": "2", "99": "1"}, {"101": "1", "102": "1"})
    assert list(wanted.sides[SELL]) == [101, 102]
    assert str(next(iter(wanted.sides[BUY]))) == "100"
    assert wanted.refused == []


def test_a_bid_is_rounded_down_and_an_ask_up() -> None:
    wanted = read_levels([("100.49", "1.09")], [("100.51", "1.09")], COARSE)
    assert wanted.sides == ladders({"100": "1"}, {"101": "1"})


def test_levels_that_come_to_lie_at_one_price_are_added_up() -> None:
    wanted = read_levels([("100.4", "1"), ("100.1", "0.5"), ("100", "0.5")], [], COARSE)
    assert wanted.sides == ladders({"100": "2"})


@pytest.mark.parametrize(
    ("price", "amount", "words"),
    [("0.4", "1", "tick"), ("100", "0.01", "amount"), ("100", "0.1", "minimum"), ("1", "0.5", "worth")],
)
def test_what_cannot_be_placed_leaves_the_other_levels(price: str, amount: str, words: str) -> None:
    wanted = read_levels([(price, amount), ("99", "1")], [("101", "1")], COARSE)
    assert wanted.sides == ladders({"99": "1"}, {"101": "1"})
    ((level, error),) = wanted.refused
    assert level.side is BUY
    assert words in str(error)


@pytest.mark.parametrize(
    "bid", ["ab", b"ab", 7, None, ("100",), ("100", "1", "1"), (1.5, "1"), ("100", "x"), ("0", "1"), ("100", "-1")]
)
def test_what_is_not_a_level_is_refused_as_a_whole(bid: Any) -> None:
    with pytest.raises(cp.OrderInvalid, match=r"^(bid|price=|amount=)"):
        read_levels([bid], [], FREE)


def test_sides_that_cross_are_refused() -> None:
    for ask in ("100", "99"):
        with pytest.raises(cp.OrderInvalid, match="bid at 100 would trade with the ask at"):
            read_levels([("100", "1"), ("98", "1")], [(ask, "1"), ("105", "1")], FREE)


def test_a_difference_that_cannot_be_placed_is_negligible() -> None:
    price = Decimal(20)
    for missing, exact, coarse, tolerant in (("0", 1, 1, 1), ("0.1", 0, 1, 1), ("0.4", 0, 1, 1), ("0.5", 0, 0, 1)):
        found = [
            each.is_negligible(price, Decimal(missing))
            for each in (Granularity(FREE), Granularity(COARSE), Granularity(COARSE, Decimal("0.5")))
        ]
        assert found == [exact, coarse, tolerant], missing


def test_exact_sums_and_prices_that_meet() -> None:
    assert total([Decimal("1E+40"), Decimal("1E-8")]) == Decimal("1" + "0" * 40 + ".00000001")
    assert [crosses(BUY, Decimal(2), Decimal(n)) for n in (1, 2, 3)] == [True, True, False]
    assert [crosses(SELL, Decimal(2), Decimal(n)) for n in (1, 2, 3)] == [False, True, True]
