"""Which orders are quotes: all of the pair, or those with a tag; and numbers that no earlier process has used."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.order_ids import ClientOrderIds
from cryptoproto.quotes.ownership import MAX_TAG, Ownership
from tests.support.orders import an_order
from tests.support.trading import Clock


def test_without_a_tag_all_orders_of_the_pair_are_quotes() -> None:
    ownership = Ownership("BTC_USD", None)
    assert ownership.owns(an_order(None))
    assert ownership.owns(an_order(7))
    assert not Ownership("ETH_USD", None).owns(an_order(7))
    assert ownership.next_id() < ownership.next_id()


def test_a_tag_is_part_of_the_number() -> None:
    ours, theirs = Ownership("BTC_USD", 7), Ownership("BTC_USD", 8)
    order = an_order(ours.next_id())
    assert ours.owns(order)
    assert not theirs.owns(order)
    assert not ours.owns(an_order(None))
    assert not Ownership("ETH_USD", 7).owns(order)


def test_no_number_is_used_twice() -> None:
    clock = Clock()
    ownership = Ownership("BTC_USD", MAX_TAG, clock=clock)
    numbers = [ownership.next_id() for _ in range(1_000)]  # more than the counter holds within one millisecond
    clock.advance(-60)
    numbers += [ownership.next_id() for _ in range(10)]
    assert sorted(set(numbers)) == numbers
    following = Ownership("BTC_USD", MAX_TAG, clock=clock)
    following.learn([an_order(None), an_order(numbers[-1]), an_order(1)])
    assert following.next_id() > numbers[-1]
    assert following.owns(an_order(following.next_id()))


def test_a_client_never_generates_a_number_with_a_tag() -> None:
    since = 1_672_531_200 * 10**9  # 2023
    assert ClientOrderIds(clock=lambda: since).next() >> 48 > MAX_TAG


@pytest.mark.parametrize("tag", [0, -1, MAX_TAG + 1, True, "7", 1.0])
def test_tags_that_cannot_be_used(tag: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="tag="):
        Ownership("BTC_USD", tag)
