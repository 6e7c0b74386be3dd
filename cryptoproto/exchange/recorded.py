"""Matching against a market that is only observed: clients trade with its volume, and do not change it.

The rules, with their reasons, are in ``docs/recording.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final, NamedTuple

from ..exceptions import ConfigurationError
from ..messages import AnonymousTrade, OrderBookAgg, Time
from .accounts import Accounts, Order, Pair
from .book import Book
from .commands import Output, Public
from .matching import Fill, Matching
from .units import MAX_UNITS, UNIT, from_units

__all__ = ["RecordedMatching", "RecordedSide", "units_of"]

_EIGHT: Final = Decimal(8)
_ROUNDING_DOWN: Final = Context(prec=200, rounding="ROUND_DOWN", Emin=-999, Emax=999, traps=[InvalidOperation])
_EXACT: Final = Context(prec=200, Emin=-999, Emax=999, traps=[InvalidOperation, Inexact])


class RecordedLevel(NamedTuple):
    """A price level, in units of 1e-8, and how much of it is still available."""

    price: int
    available: int


class RecordedSide:
    """All buy orders of a recorded book, or all sell orders, and how much of each level clients have taken.

    A recorded level keeps its volume although a client has traded with it. What was taken is therefore remembered until
    the recorded volume of the level changes; from then on, only the recorded volume counts.
    """

    __slots__ = ("_buy", "_taken", "volumes")

    def __init__(self, *, buy: bool) -> None:
        self.volumes: Mapping[Decimal, Decimal] = {}
        self._buy = buy
        self._taken: dict[int, tuple[int, int]] = {}  # price: the volume that was there, and what was taken of it

    def replace(self, volumes: Mapping[Decimal, Decimal]) -> None:
        """The side as a new snapshot has it."""
        self.volumes = volumes
        for price, (volume, _) in tuple(self._taken.items()):
            if self.volume_at(price) != volume:
                del self._taken[price]

    def volume_at(self, price: int) -> int:
        """The recorded volume at *price*, in units."""
        volume = self.volumes.get(from_units(price))
        return 0 if volume is None else units_of(volume)

    def levels_within(self, limit: int) -> Iterator[RecordedLevel]:
        """The levels that an order of the other side with that limit would trade with, best price first."""
        worst = from_units(limit)
        inside = [price for price in self.volumes if (price >= worst if self._buy else price <= worst)]
        for price in sorted(inside, reverse=self._buy):
            try:
                units = int(_EXACT.to_integral_exact(_EXACT.scaleb(price, _EIGHT)))
            except Inexact:
                continue  # no order can have this price
            available = units_of(self.volumes[price]) - self._taken.get(units, (0, 0))[1]
            if available * units >= UNIT:
                yield RecordedLevel(units, available)

    def take(self, price: int, units: int) -> None:
        """Remember that a client has traded with this level."""
        self._taken[price] = (self.volume_at(price), self._taken.get(price, (0, 0))[1] + units)


class RecordedMarket:
    """The recorded book of one pair."""

    __slots__ = ("buys", "message", "sells")

    def __init__(self) -> None:
        self.message: OrderBookAgg | None = None
        self.buys: RecordedSide = RecordedSide(buy=True)
        self.sells: RecordedSide = RecordedSide(buy=False)

    def side(self, *, buy: bool) -> RecordedSide:
        """The side of buy or of sell orders."""
        return self.buys if buy else self.sells

    def replace(self, message: OrderBookAgg | None) -> None:
        """The newest snapshot; ``None``: it is no longer known."""
        self.message = message
        self.buys.replace({} if message is None else message.buy_levels)
        self.sells.replace({} if message is None else message.sell_levels)


class RecordedMatching(Matching):
    """Orders of clients rest in books of their own, each behind the recorded volume that was there before it.

    Args:
        books: the orders of clients by pair; pairs are added when they are first observed.
        accounts: the accounts that trade.
        maker_fee: charged on what a resting order receives, in units of 1e-8 of it.
        taker_fee: the same for an incoming order.
    """

    def __init__(self, books: dict[str, Book], accounts: Accounts, *, maker_fee: int, taker_fee: int) -> None:
        super().__init__(books, accounts, maker_fee=maker_fee, taker_fee=taker_fee)
        self._own_books = books
        self._markets = {name: RecordedMarket() for name in books}
        self._ahead: dict[int, int] = {}  # the recorded volume that is filled before an order, by its id

    # The market

    def observe(self, update: OrderBookAgg | AnonymousTrade | None, time: Time, out: list[Output]) -> None:
        """Take in what happened, and fill the orders that would have been part of it."""
        if update is None:
            for each in self._markets.values():
                each.replace(None)
            return
        market = self._market(update.trade_pair)
        if market is None:
            return
        # Orders of clients get ids that the market would have given them.
        self.skip_order_ids(update.current_order_id)
        book = self.books[update.trade_pair]
        if isinstance(update, AnonymousTrade):
            out.append(Public(update))
            if not book.side(buy=update.maker_buy).is_empty:
                self._on_trade(book, update, time, out)
            return
        market.replace(update)
        self.touched.add(update.trade_pair)
        for buy in (True, False):
            if not book.side(buy=buy).is_empty:
                self._on_book(book, market, buy, time, out)

    def book(self, trade_pair: str) -> OrderBookAgg | None:
        """The recorded book of a pair; ``None`` if there is no such pair."""
        market = self._markets.get(trade_pair)
        if market is None:
            return None
        return market.message or OrderBookAgg(trade_pair, self.last_order_id, {}, {})

    def _market(self, trade_pair: str) -> RecordedMarket | None:
        """The market of a pair, which is new if it has not been observed before."""
        market = self._markets.get(trade_pair)
        if market is not None:
            return market
        try:
            self._own_books[trade_pair] = Book(Pair.named(trade_pair))
        except ConfigurationError:
            return None  # it has a name that no order can have
        market = self._markets[trade_pair] = RecordedMarket()
        return market

    def _on_trade(self, book: Book, trade: AnonymousTrade, time: Time, out: list[Output]) -> None:
        """Fill what would have been filled by the order that came in: better prices first, then those behind."""
        price = units_of(trade.price)
        left = units_of(trade.amount)
        buy = trade.maker_buy
        for level in [level for level in book.side(buy=buy).levels() if not _is_better(price, level.price, buy=buy)]:
            passed = 0  # of the recorded volume at this price, by this trade
            for order in level:
                if level.price == price:
                    ahead = self._ahead[order.order_id]
                    between = max(0, ahead - passed)  # this order and the one before it
                    passes = min(left, between)
                    passed += passes
                    left -= passes
                    self._ahead[order.order_id] = between - passes
                left -= self._fill_resting(order, left, time, out)

    def _on_book(self, book: Book, market: RecordedMarket, buy: bool, time: Time, out: list[Output]) -> None:
        """Fill what the other side has come across; what is left is nowhere behind more than there is."""
        own, others = market.side(buy=buy), market.side(buy=not buy)
        for level in tuple(book.side(buy=buy).levels()):
            volume = own.volume_at(level.price)
            for order in level:
                self._ahead[order.order_id] = min(self._ahead[order.order_id], volume)
                for price, available in others.levels_within(order.price):
                    units = self._fill_resting(order, available, time, out)
                    if not units:
                        break
                    others.take(price, units)

    def _fill_resting(self, order: Order, most: int, time: Time, out: list[Output]) -> int:
        """Fill up to *most* units of a resting order at its price; returns how many."""
        units = min(order.amount, most)
        quote = units * order.price // UNIT
        if not quote:
            return 0
        fill = Fill(units, quote, from_units(units), from_units(order.price), order.buy, time)
        self._fill_maker(order, fill, out)
        return units

    # Orders

    def _can_fill(self, order: Order) -> bool:
        levels = self._markets[order.pair.name].side(buy=not order.buy).levels_within(order.price)
        return sum(level.available for level in levels) >= order.amount

    def _match(self, order: Order, time: Time, out: list[Output]) -> bool:
        for level in tuple(self.books[order.pair.name].across(order).levels_within(order.price)):
            for own in [each for each in level if each.account is order.account]:
                self.cancel(own, time, out)  # no self-trades
        side = self._markets[order.pair.name].side(buy=not order.buy)
        for price, available in side.levels_within(order.price):
            units = min(order.amount, available)
            quote = units * price // UNIT
            if not quote:  # what is left of the order is worth less than the smallest unit
                return bool(order.amount)
            order.amount -= units
            side.take(price, units)
            fill = Fill(units, quote, from_units(units), from_units(price), not order.buy, time)
            self._settle(order, fill, self._taker_fee, out)
        return False

    def rest(self, order: Order) -> None:
        """See :class:`Matching`. The recorded volume at its price is filled first; unknown, it is all there will be."""
        super().rest(order)
        market = self._markets[order.pair.name]
        side = market.side(buy=order.buy)
        self._ahead[order.order_id] = MAX_UNITS if market.message is None else side.volume_at(order.price)

    def _touch(self, order: Order) -> None:
        """The recorded book does not change with an order."""

    def _forget(self, order: Order) -> None:
        super()._forget(order)
        self._ahead.pop(order.order_id, None)


def units_of(value: Decimal) -> int:
    """*value* in units of 1e-8, rounded down; at most what an order can have."""
    return min(int(_ROUNDING_DOWN.scaleb(value, _EIGHT)), MAX_UNITS)


def _is_better(price: int, than: int, *, buy: bool) -> bool:
    """Whether *price* is filled before the price *than*."""
    return price > than if buy else price < than
