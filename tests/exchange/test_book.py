"""The order book: the work per order does not grow with the book, and cancelled orders leave nothing behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

import pytest

from cryptoproto.exchange.commands import LimitOpenOrders
from cryptoproto.exchange.units import from_units
from tests.support.venue import Venue


def calls(work: Callable[[], object]) -> int:
    """How many functions *work* calls: a measure of time that no other process can disturb."""
    count = 0

    def seen(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    from_units.cache_clear()
    before = sys.getprofile()
    gc.disable()  # hypothesis has the collector call a function of its own
    sys.setprofile(seen)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def work(size: int, *, one_level: bool) -> list[int]:
    """What each kind of message costs in a book of *size* orders."""
    venue = Venue(balances={"alice": {"USD": "1e12"}, "bob": {"BTC": "1e6", "USD": "1e6"}})
    venue.apply(LimitOpenOrders(10**6, venue.now_us))
    for index in range(size):
        venue.order("alice", "buy", "1", "100" if one_level else f"{100 + index / 10000:.4f}")
    return [
        calls(lambda: venue.cancel("alice", size // 2)),
        calls(lambda: venue.order("alice", "buy", "1", "100.0005")),
        calls(lambda: venue.order("alice", "buy", "1", "99")),
        calls(lambda: venue.order("bob", "sell", "0.5", "100")),
        calls(lambda: venue.order("bob", "sell", "2", "100")),
        calls(lambda: venue.order("bob", "sell", "1", "100", "fok")),
        calls(lambda: venue.order("bob", "buy", "1", "1", ttl=60)),
        calls(lambda: venue.cancel_all("bob")),
    ]


@pytest.mark.parametrize("one_level", [True, False])
def test_work_does_not_grow_with_the_book(one_level: bool) -> None:
    assert work(10, one_level=one_level) == work(3000, one_level=one_level)


def test_cancelled_orders_leave_nothing_behind() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", ttl=86_400)
    size = len(venue.engine.snapshot())
    for index in range(2000):
        venue.order("bob", "sell", "1", str(200 + index), ttl=86_400)
        venue.cancel("bob", index + 2)
    assert len(venue.engine.snapshot()) <= size + 3  # the newest order's id has three more digits
    matching = venue.engine._matching
    assert len(matching._expiries) < 100
    book = matching.books["BTC_USD"]
    assert len(book.sells._levels) == 0
    assert list(book.sells._keys) == []


def test_the_repr_of_an_order_is_short_in_a_long_queue() -> None:
    venue = Venue()
    for _ in range(3):
        venue.order("alice", "buy", "1", "100")
    (level,) = venue.engine._matching.books["BTC_USD"].buys.levels()
    assert [repr(order) for order in level] == [f"<Order {number} of alice>" for number in (1, 2, 3)]
