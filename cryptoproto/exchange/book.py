"""The order book of one pair: price levels in order of price, orders in order of arrival.

Placing, reducing and removing an order take constant time, apart from the logarithm of the number of levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from .accounts import Order, Pair
from .ladder import Ladder
from .units import UNIT, from_units

__all__ = ["Book", "Level", "Side"]


class Level:
    """The orders at one price and their total volume.

    The orders are linked with each other, so that a level needs no container: most levels hold one order, briefly.

    Attributes:
        oldest: the order that is filled next; ``None`` once the level is empty.
    """

    __slots__ = ("_newest", "oldest", "price", "volume")

    def __init__(self, price: int) -> None:
        self.price: int = price
        self.volume: int = 0
        self.oldest: Order | None = None
        self._newest: Order | None = None

    def __iter__(self) -> Iterator[Order]:
        """The orders, oldest first. The one that was returned last may be removed meanwhile, others must not."""
        order = self.oldest
        while order is not None:
            following = order.newer
            yield order
            order = following

    def append(self, order: Order) -> None:
        """Put *order* behind all others."""
        before = self._newest
        if before is None:
            self.oldest = order
        else:
            before.newer = order
            order.older = before
        self._newest = order
        self.volume += order.amount

    def remove(self, order: Order) -> None:
        """Take *order* out; the caller has subtracted its volume."""
        older, newer = order.older, order.newer
        if older is None:
            self.oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self._newest = older
        else:
            newer.older = older
        order.older = order.newer = None


class Side:
    """All buy orders of a pair, or all sell orders."""

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, *, buy: bool) -> None:
        self._sign = -1 if buy else 1  # so that the best price always has the lowest key
        self._keys = Ladder()
        self._levels: dict[int, Level] = {}

    @property
    def is_empty(self) -> bool:
        """Whether there are no orders."""
        return not self._levels

    def best_within(self, limit: int) -> Level | None:
        """The best level, if an order of the other side with that limit would trade with it."""
        key = self._keys.lowest
        return None if key is None or key > limit * self._sign else self._levels[key]

    def levels(self) -> Iterator[Level]:
        """All levels, best price first."""
        return map(self._levels.__getitem__, self._keys)

    def levels_within(self, limit: int) -> Iterator[Level]:
        """The levels that an order of the other side with that limit would trade with, best price first."""
        last = limit * self._sign
        for key in self._keys:
            if key > last:
                return
            yield self._levels[key]

    def add(self, order: Order) -> None:
        """Put *order* behind all others at its price."""
        key = order.price * self._sign
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = Level(order.price)
            self._keys.add(key)
        level.append(order)

    def reduce(self, order: Order, units: int) -> None:
        """Fill *units* of the resting *order*, and remove it from the book if nothing is left."""
        level = self._levels[order.price * self._sign]
        level.volume -= units
        order.amount -= units
        if not order.amount:
            self._drop(level, order)

    def remove(self, order: Order) -> None:
        """Take the resting *order* out of the book."""
        level = self._levels[order.price * self._sign]
        level.volume -= order.amount
        self._drop(level, order)

    def aggregated(self) -> dict[Decimal, Decimal]:
        """Volume by price, best price first."""
        return {from_units(level.price): from_units(level.volume) for level in self.levels()}

    def _drop(self, level: Level, order: Order) -> None:
        level.remove(order)
        if level.oldest is None:
            key = order.price * self._sign
            del self._levels[key]
            self._keys.remove(key)


class Book:
    """Both sides of one pair."""

    __slots__ = ("buys", "pair", "sells")

    def __init__(self, pair: Pair) -> None:
        self.pair: Pair = pair
        self.buys: Side = Side(buy=True)
        self.sells: Side = Side(buy=False)

    def side(self, *, buy: bool) -> Side:
        """The side on which a buy or a sell order rests."""
        return self.buys if buy else self.sells

    def of(self, order: Order) -> Side:
        """The side on which *order* rests."""
        return self.buys if order.buy else self.sells

    def across(self, order: Order) -> Side:
        """The side that *order* trades with."""
        return self.sells if order.buy else self.buys

    def can_fill(self, order: Order) -> bool:
        """Whether *order* would be filled completely at once, not counting its owner's own orders.

        The work is proportional to the number of levels that it crosses, and of its owner's open orders.
        """
        rest = order.amount
        own = order.account.volumes(self.pair, buy=not order.buy)
        for level in self.across(order).levels_within(order.price):
            volume = level.volume - own.get(level.price, 0)
            if volume >= rest:
                return _last_fill(level, order, rest) * level.price >= UNIT
            rest -= volume
        return False


def _last_fill(level: Level, order: Order, rest: int) -> int:
    """The amount of the last fill if *rest* is filled at *level*."""
    if level.price >= UNIT:
        return rest  # any amount is worth enough at this price
    for maker in level:
        if maker.account is not order.account:
            if maker.amount >= rest:
                break
            rest -= maker.amount
    return rest
