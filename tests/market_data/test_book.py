"""The local order book: examples, and a plain model to agree with."""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.market_data import Level

BUYS = {"99": "1", "100": "2", "98.5": "4"}
SELLS = {"101": "0.5", "103": "10", "102": "1.5"}


def snapshot(
    order_id: int = 1, buys: Mapping[str, str] = BUYS, sells: Mapping[str, str] = SELLS, pair: str = "BTC_USD"
) -> cp.OrderBookAgg:
    return cp.OrderBookAgg(pair, order_id, _exact(buys), _exact(sells))


def _exact(levels: Mapping[str, str]) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(volume) for price, volume in levels.items()}


def book(*snapshots: cp.OrderBookAgg) -> cp.OrderBook:
    made = cp.OrderBook("BTC_USD")
    for each in snapshots or (snapshot(),):
        made.apply(each)
    return made


def level(price: str, volume: str) -> Level:
    return Level(Decimal(price), Decimal(volume))


# What is in it


def test_sides_are_sorted_from_the_best() -> None:
    made = book()
    assert made.bids == (level("100", "2"), level("99", "1"), level("98.5", "4"))
    assert made.asks == (level("101", "0.5"), level("102", "1.5"), level("103", "10"))
    assert made.best_bid == level("100", "2")
    assert made.best_ask == level("101", "0.5")
    assert (made.best_ask.price, made.best_ask.volume) == made.best_ask
    assert made.depth(1)[0][0].price == 100
    assert made.depth(2) == (made.bids[:2], made.asks[:2])
    assert made.depth(0) == ((), ())
    assert made.depth(50) == (made.bids, made.asks)
    assert made.mid == Decimal("100.5")
    assert made.spread == Decimal(1)
    assert made.current_order_id == 1
    assert repr(made) == "<OrderBook BTC_USD, bid 100 × 2, ask 101 × 0.5>"


def test_a_new_book_is_stale_and_empty() -> None:
    made = cp.OrderBook("BTC_USD")
    assert made.is_stale
    assert made.age == math.inf
    assert (made.bids, made.asks) == ((), ())
    assert (made.best_bid, made.best_ask, made.mid, made.spread, made.current_order_id) == (None,) * 5
    assert not made.is_crossed
    assert made.price_for_volume(1, buying=True) is None
    assert made.volume_for(1, buying=True) == 0
    assert repr(made) == "<OrderBook BTC_USD, stale>"


def test_one_side_can_be_empty() -> None:
    made = book(snapshot(sells={}))
    assert (made.best_ask, made.mid, made.spread) == (None, None, None)
    assert not made.is_crossed
    assert not made.is_stale
    assert repr(made) == "<OrderBook BTC_USD, bid 100 × 2, ask none>"


def test_a_snapshot_replaces_all_of_the_one_before() -> None:
    made = book(snapshot(1), snapshot(2, {"50": "1"}, {"60": "1"}))
    assert (made.bids, made.asks) == ((level("50", "1"),), (level("60", "1"),))
    made.apply(snapshot(3, {}, {}))
    assert (made.bids, made.asks, made.is_stale) == ((), (), False)


def test_levels_without_volume_are_left_out() -> None:
    made = book(snapshot(1, {"100": "0", "99": "1"}, {"100.5": "0E-8"}))
    assert made.bids == (level("99", "1"),)
    assert made.asks == ()


@pytest.mark.parametrize(
    ("bid", "ask", "crossed"), [("100", "101", False), ("101", "101.0", True), ("102", "101", True)]
)
def test_a_crossed_book_is_flagged_and_not_hidden(bid: str, ask: str, crossed: bool) -> None:
    made = book(snapshot(1, {bid: "1"}, {ask: "1"}))
    assert made.is_crossed is crossed
    assert made.best_bid == level(bid, "1")
    assert made.best_ask == level(ask, "1")
    assert made.spread == Decimal(ask) - Decimal(bid)
    assert ("crossed" in repr(made)) is crossed


@pytest.mark.parametrize(
    ("price", "volume"),
    [
        ("NaN", "1"),
        ("Infinity", "1"),
        ("0", "1"),
        ("1E+999999", "1"),
        ("1E-999999", "1"),
        ("-1", "1"),
        ("1", "-1"),
        ("1", "NaN"),
        ("1", "sNaN"),
        ("1", "Infinity"),
        ("1", "1E+999999"),
        ("1", "1E-999999"),
    ],
)
@pytest.mark.parametrize("buying", [True, False])
def test_levels_that_cannot_be_leave_the_book_as_it_was(price: str, volume: str, buying: bool) -> None:
    made = book()
    before = made.bids, made.asks, made.current_order_id
    levels = {"7": "1", price: volume}
    with pytest.raises(cp.DecodeError, match="impossible volume"):
        made.apply(snapshot(9, levels, {}) if buying else snapshot(9, {}, levels))
    assert (made.bids, made.asks, made.current_order_id) == before


def test_a_snapshot_of_another_pair_is_refused() -> None:
    with pytest.raises(cp.ConfigurationError, match="ETH_USD"):
        book().apply(snapshot(pair="ETH_USD"))


# Its place in time


def test_age_is_measured_by_the_clock_that_was_passed_in() -> None:
    times = iter([100.0, 107.5, 108.0, 109.0, 110.0])
    made = cp.OrderBook("BTC_USD", time=lambda: next(times))
    made.apply(snapshot())
    assert (made.age, made.is_stale) == (7.5, False)
    made.clear()
    assert (made.age, made.is_stale) == (8.0, True)
    made.apply(snapshot())
    assert (made.age, made.is_stale) == (1.0, False)


def test_clear_empties_it() -> None:
    made = book()
    made.clear()
    assert (made.bids, made.asks, made.current_order_id, made.is_stale) == ((), (), None, True)


def test_the_same_order_id_is_not_late() -> None:
    """A cancelled order changes the book without a new order."""
    made = book(snapshot(5))
    assert made.apply(snapshot(5, {"1": "1"}))
    assert made.bids == (level("1", "1"),)


def test_a_late_snapshot_is_ignored_and_counted() -> None:
    made = book(snapshot(5))
    assert not made.apply(snapshot(4, {"1": "1"}))
    assert not made.apply(snapshot(3, {"1": "1"}))
    assert made.bids[0] == level("100", "2")
    assert made.late_snapshots == 2
    assert made.apply(snapshot(6, {"2": "1"}))
    assert not made.apply(snapshot(5, {"1": "1"})), "they were not three in a row"
    assert made.bids == (level("2", "1"),)


def test_three_late_ones_in_a_row_are_an_exchange_that_counts_anew() -> None:
    made = book(snapshot(500))
    taken = [made.apply(snapshot(order_id, {str(order_id): "1"})) for order_id in (1, 2, 3, 4)]
    assert taken == [False, False, True, True]
    assert made.current_order_id == 4
    assert made.late_snapshots == 2


def test_after_a_disconnect_any_snapshot_is_taken() -> None:
    made = book(snapshot(500))
    made.clear()
    assert made.apply(snapshot(1))
    assert made.current_order_id == 1


# What trading against it would give


def test_what_an_amount_costs() -> None:
    made = book()
    assert made.cost_for_volume("0.5", buying=True) == Decimal("50.5")
    assert made.price_for_volume("0.5", buying=True) == Decimal(101)
    assert made.cost_for_volume("2.5", buying=True) == Decimal("50.5") + Decimal(153) + Decimal("51.5")
    assert made.price_for_volume("2.5", buying=True) == Decimal(102)
    assert made.price_for_volume(12, buying=True) is not None
    assert made.price_for_volume("12.00000001", buying=True) is None
    assert made.cost_for_volume(3, buying=False) == Decimal(299)


def test_what_is_to_be_had_up_to_a_price() -> None:
    made = book()
    assert made.volume_for("100.99", buying=True) == 0
    assert made.volume_for("101", buying=True) == Decimal("0.5")
    assert made.volume_for(102, buying=True) == 2
    assert made.volume_for(1000, buying=True) == 12
    assert made.volume_for("100.01", buying=False) == 0
    assert made.volume_for(99, buying=False) == 3
    assert made.volume_for(1, buying=False) == 7


@pytest.mark.parametrize("value", [0.5, 0, -1, "x", "NaN", True])
def test_amounts_that_cannot_be_are_refused(value: Any) -> None:
    made = book()
    for method in (made.cost_for_volume, made.price_for_volume, made.volume_for):
        with pytest.raises(cp.ConfigurationError):
            method(value, buying=True)


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(cp.ConfigurationError, match="levels=-1"):
        book().depth(-1)


amounts = st.decimals("0.00000001", 10**9, places=8, allow_nan=False)
sides = st.dictionaries(amounts, st.one_of(amounts, st.just(Decimal(0))), max_size=12)


@given(buys=sides, sells=sides, amount=amounts, price=amounts, buying=st.booleans())
def test_agrees_with_a_plain_model_whatever_the_callers_context(
    buys: dict[Decimal, Decimal], sells: dict[Decimal, Decimal], amount: Decimal, price: Decimal, buying: bool
) -> None:
    with decimal.localcontext() as context:
        context.prec = 2
        context.clear_flags()
        made = book(cp.OrderBookAgg("BTC_USD", 1, buys, sells))
        mid, spread = made.mid, made.spread
        volume = made.volume_for(price, buying=buying)
        cost = made.cost_for_volume(amount, buying=buying)
        average = made.price_for_volume(amount, buying=buying)
        assert context.prec == 2
        assert not any(context.flags.values()), "the caller's context was used"

    bids = sorted(((p, v) for p, v in buys.items() if v), reverse=True)
    asks = sorted((p, v) for p, v in sells.items() if v)
    assert list(made.bids) == bids
    assert list(made.asks) == asks
    assert made.is_crossed == bool(bids and asks and bids[0][0] >= asks[0][0])
    if bids and asks:
        assert mid is not None
        assert Fraction(mid) == (Fraction(bids[0][0]) + Fraction(asks[0][0])) / 2
        assert spread is not None
        assert Fraction(spread) == Fraction(asks[0][0]) - Fraction(bids[0][0])
    levels = asks if buying else bids
    within = [v for p, v in levels if (p <= price if buying else p >= price)]
    assert Fraction(volume) == sum(map(Fraction, within))
    _check_cost(levels, amount, cost, average)


def _check_cost(
    levels: Sequence[tuple[Decimal, Decimal]], amount: Decimal, cost: Decimal | None, average: Decimal | None
) -> None:
    left, expected = Fraction(amount), Fraction(0)
    for price, volume in levels:
        taken = min(left, Fraction(volume))
        expected += taken * Fraction(price)
        left -= taken
    if left:
        assert cost is average is None
        return
    assert cost is not None
    assert average is not None
    assert Fraction(cost) == expected
    exact_average = expected / Fraction(amount)
    assert abs(Fraction(average) - exact_average) <= exact_average / 10**49


@given(order_ids=st.lists(st.integers(1, 20), max_size=30), cuts=st.sets(st.integers(0, 30)))
def test_never_goes_back_in_time_but_for_a_restart(order_ids: list[int], cuts: set[int]) -> None:
    made = cp.OrderBook("BTC_USD")
    held: int | None = None
    late = 0
    for place, order_id in enumerate(order_ids):
        if place in cuts:
            made.clear()
            held, late = None, 0
        late = late + 1 if held is not None and order_id < held else 0
        taken = made.apply(snapshot(order_id, {str(place + 1): "1"}))
        assert taken == (late in (0, 3))
        if taken:
            held, late = order_id, 0
            assert made.bids == (level(str(place + 1), "1"),)
        assert made.current_order_id == held


def test_a_recorded_book_replaces_the_current_one() -> None:
    now = [5.0]
    book = cp.OrderBook("BTC_USD", time=lambda: now[0])
    book.restore(7, (level("99", "1"),), (level("101", "2"),))
    assert (book.best_bid, book.best_ask) == (level("99", "1"), level("101", "2"))
    now[0] = 6.0
    assert (book.current_order_id, book.age, book.is_stale) == (7, 1.0, False)
    book.restore(3, (), ())
    assert (book.current_order_id, book.late_snapshots, book.age) == (3, 0, 0.0)


def test_as_a_dict() -> None:
    assert book(snapshot(1, {"100": "0.00000001"}, {})).as_dict() == {
        "trade_pair": "BTC_USD",
        "current_order_id": 1,
        "is_stale": False,
        "late_snapshots": 0,
        "bids": [{"price": "100", "volume": "0.00000001"}],
        "asks": [],
    }
    assert book().as_dict()["asks"][0] == {"price": "101", "volume": "0.5"}
