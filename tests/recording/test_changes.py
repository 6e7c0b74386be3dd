"""The changes between two books, and the book that they make again."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.recording.changes import INSERTED, REMOVED, VOLUME, Side, apply_changes, write_changes

levels = st.dictionaries(st.integers(1, 30).map(Decimal), st.integers(1, 3).map(Decimal), max_size=12)


def side(of: dict[Decimal, Decimal], *, bids: bool) -> Side:
    return tuple(sorted(of.items(), reverse=bids))


def changed(old: Side, new: Side, *, bids: bool) -> tuple[list[int], list[Decimal], list[Decimal]]:
    codes: list[int] = []
    prices: list[Decimal] = []
    volumes: list[Decimal] = []
    count = write_changes(old, new, bids=bids, codes=codes, prices=prices, volumes=volumes)
    assert count == len(codes)
    return codes, prices, volumes


@given(levels, levels, st.booleans())
def test_changes_make_the_new_side(old: dict[Decimal, Decimal], new: dict[Decimal, Decimal], bids: bool) -> None:
    before, after = side(old, bids=bids), side(new, bids=bids)
    codes, prices, volumes = changed(before, after, bids=bids)
    now: list[tuple[Decimal, Decimal]] = list(before)
    shown = dict(before)
    result = apply_changes(len(codes), now, shown, iter(codes).__next__, iter(prices).__next__, iter(volumes).__next__)
    assert tuple(now) == after
    assert tuple(result.items()) == after  # in order
    assert shown == dict(before), "the old message is unchanged"


def test_one_changed_level_is_one_change() -> None:
    old = side({Decimal(3): Decimal(1), Decimal(2): Decimal(1), Decimal(1): Decimal(1)}, bids=True)
    more = (*old[:1], (Decimal(2), Decimal(5)), *old[2:])
    assert changed(old, more, bids=True) == ([1 << 2 | VOLUME], [], [Decimal(5)])
    assert changed(old, old[1:], bids=True) == ([REMOVED], [], [])
    assert changed(old[1:], old, bids=True) == ([INSERTED], [Decimal(3)], [Decimal(1)])
    assert changed(old, old, bids=True) == ([], [], [])


@pytest.mark.parametrize("code", [3, 5 << 2 | INSERTED])
def test_an_impossible_change_is_refused(code: int) -> None:
    with pytest.raises(cp.DecodeError, match="no change"):
        apply_changes(1, [], {}, [code].pop, [Decimal(1)].pop, [Decimal(1)].pop)
