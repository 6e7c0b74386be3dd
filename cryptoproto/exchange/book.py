"""The order book of one pair: price levels in order of price, orders in order of arrival.

Placing, reducing and removing an order take constant time, give or take the logarithm of the number of levels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from .ladder import Ladder
from .units import UNIT, from_units

if TYPE_CHECKING:
    from .accounts import Account

__all__ = ["Book", "Level", "Order", "Side"]


@dataclass(slots=True, eq=False)
class Order:
    """One order; *amount* is what is left of it, prices and amounts are in units of 1e-8."""

    order_id: int
    account: Account
    book: Book
    buy: bool
    price: int
    amount: int
    client_order_id: int | None
    expiry_us: int  # 0: never

    @property
    def held(self) -> int:
        """What is on hold for the order: the base currency to sell, or what buying the rest at the limit costs.

        Quote amounts are rounded down, and a sum of such never exceeds the rounded sum, so this covers every way in
        which the rest can be filled.
        """
        return self.price * self.amount // UNIT if self.buy else self.amount

    @property
    def held_currency(self) -> str:
        """The currency that is on hold for the order."""
        return self.book.quote if self.buy else self.book.base

    @property
    def can_trade(self) -> bool:
        """Whether what is left is worth at least one unit of the quote currency."""
        return self.price * self.amount >= UNIT


class Level:
    """The orders at one price, oldest first, and what they add up to."""

    __slots__ = ("by_account", "orders", "price", "volume")

    def __init__(self, price: int) -> None:
        self.price = price
        self.volume = 0
        # An OrderedDict, because finding the first key of a dict gets slower with each one deleted before it.
        self.orders: OrderedDict[int, Order] = OrderedDict()
        self.by_account: dict[int, int] = {}

    @property
    def oldest(self) -> Order:
        """The order whose turn it is."""
        return next(iter(self.orders.values()))

    def volume_without(self, account_id: int) -> int:
        """What all but one account have here."""
        return self.volume - self.by_account.get(account_id, 0)


class Side:
    """All buy orders of a pair, or all sell orders."""

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, *, buy: bool) -> None:
        self._sign = -1 if buy else 1  # so that the best price always has the lowest key
        self._keys = Ladder()
        self._levels: dict[int, Level] = {}

    @property
    def best(self) -> Level | None:
        """The level with the best price, ``None`` when there are no orders."""
        key = self._keys.lowest
        return None if key is None else self._levels[key]

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

    def orders(self) -> Iterator[Order]:
        """All orders in the order in which they would be filled."""
        for level in self.levels():
            yield from level.orders.values()

    def add(self, order: Order) -> None:
        """Put *order* behind all others at its price."""
        key = order.price * self._sign
        level = self._levels.get(key)
        if level is None:
            level = self._levels[key] = Level(order.price)
            self._keys.add(key)
        level.orders[order.order_id] = order
        level.volume += order.amount
        account_id = order.account.account_id
        level.by_account[account_id] = level.by_account.get(account_id, 0) + order.amount

    def reduce(self, order: Order, units: int) -> None:
        """*units* of the resting *order* were filled; what is filled whole leaves the book."""
        level = self._levels[order.price * self._sign]
        self._subtract(level, order, units)
        order.amount -= units
        if not order.amount:
            self._drop(level, order)

    def remove(self, order: Order) -> None:
        """Take the resting *order* out of the book."""
        level = self._levels[order.price * self._sign]
        self._subtract(level, order, order.amount)
        self._drop(level, order)

    def aggregated(self) -> dict[Decimal, Decimal]:
        """Volume by price, best price first."""
        return {from_units(level.price): from_units(level.volume) for level in self.levels()}

    def _subtract(self, level: Level, order: Order, units: int) -> None:
        level.volume -= units
        account_id = order.account.account_id
        rest = level.by_account[account_id] - units
        if rest:
            level.by_account[account_id] = rest
        else:
            del level.by_account[account_id]

    def _drop(self, level: Level, order: Order) -> None:
        del level.orders[order.order_id]
        if not level.orders:
            key = order.price * self._sign
            del self._levels[key]
            self._keys.remove(key)


class Book:
    """Both sides of one pair."""

    __slots__ = ("base", "buys", "pair", "quote", "sells")

    def __init__(self, pair: str, base: str, quote: str) -> None:
        self.pair = pair
        self.base = base
        self.quote = quote
        self.buys = Side(buy=True)
        self.sells = Side(buy=False)

    def side(self, *, buy: bool) -> Side:
        """The side on which a buy or a sell order rests."""
        return self.buys if buy else self.sells

    def can_fill(self, order: Order) -> bool:
        """Whether *order* would be filled whole at once, its owner's own orders left aside.

        The work is that of going through the levels it crosses.
        """
        rest = order.amount
        for level in self.side(buy=not order.buy).levels_within(order.price):
            volume = level.volume_without(order.account.account_id)
            if volume >= rest:
                return _last_fill(level, order, rest) * level.price >= UNIT
            rest -= volume
        return False


def _last_fill(level: Level, order: Order, rest: int) -> int:
    """How much of the last order that *rest* meets at *level* it would take."""
    if level.price >= UNIT:
        return rest  # any amount is worth enough at this price, so there is no need to look
    for maker in level.orders.values():
        if maker.account is not order.account:
            if maker.amount >= rest:
                break
            rest -= maker.amount
    return rest
