"""The expiry of orders, which does not depend on timers."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cryptoproto.exchange.commands import Command, DisablePairs, Expire, Private, Register, Submit
from cryptoproto.messages import BuyOrderCancelled, CancelOrder, PlaceBuyLimitOrder, SetBalance
from tests.support.venue import START_US, Venue, messages, story

MINUTE_US = 60_000_000


@pytest.mark.parametrize(("ttl", "minutes"), [(1, 1), (59, 1), (60, 1), (61, 2), (120, 2), (86_400, 1440)])
def test_ttl_is_rounded_up_to_whole_minutes(ttl: int, minutes: int) -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", ttl=ttl)
    end = START_US + minutes * MINUTE_US
    assert venue.engine.next_expiry() == end
    assert venue.apply(Expire(end - 1)) == []
    assert story(venue.apply(Expire(end))) == [
        "alice BuyOrderCancelled order_id=1",
        "alice SetBalance currency=USD balance=1000000 change=100 reason=on_hold",
    ]
    assert venue.engine.next_expiry() is None
    assert venue.book() == ([], [])
    assert venue.engine.take_touched() == ["BTC_USD"]


def test_without_ttl_an_order_stays() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100")
    assert venue.engine.next_expiry() is None
    assert venue.apply(Expire(START_US + 10**15)) == []


def test_in_order_of_expiry_and_then_of_id() -> None:
    venue = Venue()
    for ttl in (180, 60, 120, 60, 0):
        venue.order("alice", "buy", "1", "100", ttl=ttl)
    assert venue.engine.next_expiry() == START_US + MINUTE_US
    ended = [m for m in messages(venue.apply(Expire(START_US + 10 * MINUTE_US))) if isinstance(m, BuyOrderCancelled)]
    assert [message.order_id for message in ended] == [2, 4, 3, 1]


@pytest.mark.parametrize("late_us", [0, 1, 17 * MINUTE_US])
def test_an_order_ends_when_its_time_is_up_and_not_when_a_timer_fires(late_us: int) -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", ttl=60)
    venue.now_us += MINUTE_US + late_us
    outputs = venue.order("bob", "sell", "1", "100")
    time = divmod(START_US + MINUTE_US, 1_000_000)
    assert outputs[0] == Private("alice", BuyOrderCancelled(1, "BTC_USD", time))
    released = messages(outputs)[1]
    assert isinstance(released, SetBalance)
    assert released.time == time
    assert story(outputs)[2:] == [
        "bob SetBalance currency=BTC balance=99 change=-1 reason=on_hold",
        "bob SellOrderPlaced order_id=2 price=100 initial_amount=1 amount=1",
    ]


@pytest.mark.parametrize(
    "command",
    [
        Submit("bob", PlaceBuyLimitOrder("X_Y", Decimal(1), Decimal(1)), START_US + MINUTE_US),
        Submit("alice", CancelOrder(1), START_US + MINUTE_US),
        Register("alice", {}, START_US + MINUTE_US),
        DisablePairs([], START_US + MINUTE_US),
    ],
)
def test_any_command_lets_time_pass_even_one_that_is_refused(command: Command) -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", ttl=60)
    assert story(venue.apply(command))[0] == "alice BuyOrderCancelled order_id=1"


def test_ended_orders_leave_no_timer() -> None:
    venue = Venue()
    venue.order("alice", "buy", "1", "100", ttl=60)
    venue.order("alice", "buy", "1", "101", ttl=120)
    venue.order("alice", "buy", "1", "102", ttl=180)
    venue.order("bob", "sell", "1", "102")
    venue.cancel("alice", 1)
    assert venue.engine.next_expiry() == START_US + 2 * MINUTE_US
    venue.cancel("alice", 2)
    assert venue.engine.next_expiry() is None


def test_the_heap_of_expiries_forgets_ended_orders_once_there_are_64_more_of_them_than_open_ones() -> None:
    venue = Venue()
    for _ in range(10):
        venue.order("alice", "buy", "1", "100", ttl=120)
    sizes = []
    for _ in range(160):
        venue.order("alice", "buy", "1", "100", ttl=180)
        venue.cancel("alice", venue.engine.last_order_id)
        sizes.append(len(venue.engine._matching._expiries))
    assert sizes == [*range(11, 85), 10] * 2 + [*range(11, 21)]
    assert venue.engine.next_expiry() == START_US + 2 * MINUTE_US
    ended = messages(venue.apply(Expire(START_US + 2 * MINUTE_US)))
    assert [each.order_id for each in ended if isinstance(each, BuyOrderCancelled)] == [*range(1, 11)]
    assert venue.engine._matching._expiries == []


def test_what_was_filled_in_part_releases_the_rest() -> None:
    venue = Venue()
    venue.order("alice", "sell", "2", "100", ttl=60)
    venue.order("bob", "buy", "0.5", "100")
    assert story(venue.apply(Expire(START_US + MINUTE_US))) == [
        "alice SellOrderCancelled order_id=1",
        "alice SetBalance currency=BTC balance=99.5 change=1.5 reason=on_hold",
    ]


def test_time_does_not_run_backwards() -> None:
    venue = Venue()
    venue.apply(Expire(START_US + MINUTE_US))
    venue.order("alice", "buy", "1", "100", ttl=60)  # with the time of a clock that is a minute late
    assert venue.engine.next_expiry() == START_US + 2 * MINUTE_US
