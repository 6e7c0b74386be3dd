"""The difference of two books, as a list of changes to price levels.

A change is an index into the side of a book, best price first, and what happens there::

    index << 2 | VOLUME     the level gets a new volume
    index << 2 | INSERTED   a new level, which gets this index
    index << 2 | REMOVED    the level is gone

Indexes count after the changes before them, so the changes are applied in order.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from ..exceptions import DecodeError
from ..market_data import BookSide

__all__ = ["INSERTED", "REMOVED", "VOLUME", "Side", "apply_changes", "write_changes"]

VOLUME: Final = 0
INSERTED: Final = 1
REMOVED: Final = 2

Side: TypeAlias = BookSide
"""One side of a book, best price first."""


def write_changes(
    old: Side, new: Side, *, bids: bool, codes: list[int], prices: list[Decimal], volumes: list[Decimal]
) -> int:
    """Append the changes that make *old* to *new*, and return how many there are.

    Args:
        old: the side as it was.
        new: the side as it is.
        bids: whether the highest price is the best.
        codes: gets one code for each change.
        prices: gets the price of each inserted level.
        volumes: gets the volume of each level that was inserted or has a new volume.
    """
    if old == new:
        return 0
    olds, news = len(old), len(new)
    at = 0
    for before, after in zip(old, new, strict=False):
        if before != after:
            break
        at += 1
    while olds > at and news > at and old[olds - 1] == new[news - 1]:
        olds -= 1
        news -= 1
    count = len(codes)
    here = at
    while here < olds or at < news:
        if at == news:
            codes.append(at << 2 | REMOVED)
            here += 1
            continue
        price, volume = new[at]
        if here < olds:
            before_price, before_volume = old[here]
            if before_price == price:
                if before_volume != volume:
                    codes.append(at << 2 | VOLUME)
                    volumes.append(volume)
                here += 1
                at += 1
                continue
            if (before_price > price) is bids:
                codes.append(at << 2 | REMOVED)
                here += 1
                continue
        codes.append(at << 2 | INSERTED)
        prices.append(price)
        volumes.append(volume)
        at += 1
    return len(codes) - count


def apply_changes(
    count: int,
    levels: list[tuple[Decimal, Decimal]],
    volumes_of: dict[Decimal, Decimal],
    next_code: Callable[[], int],
    next_price: Callable[[], Decimal],
    next_volume: Callable[[], Decimal],
) -> dict[Decimal, Decimal]:
    """Carry out *count* changes on *levels*.

    Args:
        count: how many changes.
        levels: the side; it is changed.
        volumes_of: the side as messages show it; it is not changed.
        next_code: returns the next code, and the other two what belongs to it.
        next_price: see there.
        next_volume: see there.

    Returns:
        The side as messages show it after the changes, best price first.

    Raises:
        DecodeError: a change is for a level that does not exist.
    """
    shown: dict[Decimal, Decimal] | None = volumes_of.copy()
    for _ in range(count):
        code = next_code()
        index = code >> 2
        if code & 3 == VOLUME:
            price = levels[index][0]
            volume = next_volume()
            levels[index] = (price, volume)
            if shown is not None:
                shown[price] = volume
        elif code & 3 == REMOVED:
            price = levels.pop(index)[0]
            if shown is not None:
                del shown[price]
        elif code & 3 == INSERTED and index <= len(levels):
            level = (next_price(), next_volume())
            levels.insert(index, level)
            if index == len(levels) - 1 and shown is not None:
                shown[level[0]] = level[1]
            else:
                shown = None  # the order of a dict is that of its insertions, so it is built again
        else:
            raise DecodeError(f"there is no change {code} of a side with {len(levels)} levels")
    return dict(levels) if shown is None else shown
