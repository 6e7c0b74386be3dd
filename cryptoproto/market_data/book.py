"""The order book of one pair, as received from the market-data feed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from itertools import starmap
from operator import itemgetter
from time import monotonic
from typing import Any, Final, NamedTuple, TypeAlias

from ..exceptions import ConfigurationError, DecodeError
from ..messages import AmountLike, OrderBookAgg, exact, plain

__all__ = ["BookSide", "Level", "OrderBook"]


class Level(NamedTuple):
    """A price, and the volume at that price: a tuple whose two values have names."""

    price: Decimal
    volume: Decimal


BookSide: TypeAlias = tuple[tuple[Decimal, Decimal], ...]
"""A side of a book: pairs of price and volume, the best first. Plain tuples, because each update makes hundreds."""


_RESTART_AFTER: Final = 3
"""After this many late snapshots in a row, the exchange has evidently restarted its order ids."""

# The caller's decimal context may round to a few digits, so it is not used. 200 digits hold every sum and product of
# realistic amounts; a quotient may have infinitely many, so it is rounded to fewer.
_TRAPS: Final = [InvalidOperation, DivisionByZero, Overflow]
_EXACT: Final = Context(prec=200, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=_TRAPS)
_QUOTIENT: Final = Context(prec=50, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=_TRAPS)
_HALF: Final = Decimal("0.5")
_LEAST: Final = Decimal("1E-60")
_MOST: Final = Decimal("1E+60")
"""Generous bounds of a price or volume; 1E-18 is the smallest unit of any currency in wide use."""


class OrderBook:
    """The aggregated book of one pair: always one whole snapshot, never a mixture of two.

    A book is *stale* before its first snapshot and as soon as the connection is lost; a stale book is empty. The book
    of a quiet pair grows older without becoming stale: :attr:`is_stale` depends on the connection, :attr:`age` on the
    pair.

    Snapshots carry the id of the newest order. A snapshot with a lower id than the current one is late: it is ignored
    and counted. The third late snapshot in a row is accepted, because the exchange has then evidently restarted its
    order ids. After a disconnect any snapshot is accepted.

    All amounts are Decimal. Sums and products are exact; no global decimal context is read or changed.

    Args:
        trade_pair: the pair, ``"BTC_USD"``.
        time: a monotonic clock in seconds.

    Attributes:
        trade_pair: the pair.
        current_order_id: the newest order id of the current snapshot, ``None`` while stale.
        late_snapshots: how many snapshots were ignored because they were older than the current one.
    """

    __slots__ = (
        "_asks", "_at", "_bids", "_late_in_a_row", "_time", "current_order_id", "late_snapshots", "trade_pair",
    )  # fmt: skip

    def __init__(self, trade_pair: str, *, time: Callable[[], float] = monotonic) -> None:
        self.trade_pair: str = trade_pair
        self.current_order_id: int | None = None
        self.late_snapshots: int = 0
        self._time = time
        self._bids: BookSide = ()
        self._asks: BookSide = ()
        self._at: float | None = None
        self._late_in_a_row = 0

    # Levels

    @property
    def bids(self) -> BookSide:
        """The buy side as pairs of price and volume, highest price first."""
        return self._bids

    @property
    def asks(self) -> BookSide:
        """The sell side as pairs of price and volume, lowest price first."""
        return self._asks

    @property
    def best_bid(self) -> Level | None:
        """The highest buy price and its volume; ``None`` if there are no buy orders."""
        return Level(*self._bids[0]) if self._bids else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest sell price and its volume; ``None`` if there are no sell orders."""
        return Level(*self._asks[0]) if self._asks else None

    def depth(self, levels: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The best *levels* bids and asks.

        Raises:
            ConfigurationError: *levels* is negative.
        """
        if levels < 0:
            raise ConfigurationError(f"levels={levels} must not be negative")
        return tuple(starmap(Level, self._bids[:levels])), tuple(starmap(Level, self._asks[:levels]))

    @property
    def mid(self) -> Decimal | None:
        """The price halfway between the best bid and the best ask, exactly; ``None`` if a side is empty."""
        if not self._bids or not self._asks:
            return None
        return _EXACT.multiply(_EXACT.add(self._bids[0][0], self._asks[0][0]), _HALF)

    @property
    def spread(self) -> Decimal | None:
        """The best ask minus the best bid, negative in a crossed book; ``None`` if a side is empty."""
        if not self._bids or not self._asks:
            return None
        return _EXACT.subtract(self._asks[0][0], self._bids[0][0])

    # Trading against the book

    def volume_for(self, price: AmountLike, *, buying: bool) -> Decimal:
        """How much can be bought, or sold, at *price* or better.

        Raises:
            ConfigurationError: *price* is a float, not a number, or not greater than zero.
        """
        limit = exact(price, "price")
        volume = Decimal(0)
        for level_price, level_volume in self._asks if buying else self._bids:
            if level_price > limit if buying else level_price < limit:
                break
            volume = _EXACT.add(volume, level_volume)
        return volume

    def cost_for_volume(self, amount: AmountLike, *, buying: bool) -> Decimal | None:
        """What buying *amount* costs, or selling it yields, from the best level on; fees are not included.

        Returns:
            The exact sum, or ``None`` if the book does not hold that much.

        Raises:
            ConfigurationError: *amount* is a float, not a number, or not greater than zero.
        """
        left = exact(amount, "amount")
        cost = Decimal(0)
        for price, volume in self._asks if buying else self._bids:
            taken = min(left, volume)
            cost = _EXACT.fma(price, taken, cost)
            left = _EXACT.subtract(left, taken)
            if not left:
                return cost
        return None

    def price_for_volume(self, amount: AmountLike, *, buying: bool) -> Decimal | None:
        """The average price of buying or selling *amount*, from the best level on; fees are not included.

        Returns:
            :meth:`cost_for_volume` divided by *amount*: exact if it has at most 50 digits, otherwise rounded to 50.
            ``None`` if the book does not hold that much.

        Raises:
            ConfigurationError: *amount* is a float, not a number, or not greater than zero.
        """
        cost = self.cost_for_volume(amount, buying=buying)
        return None if cost is None else _QUOTIENT.divide(cost, exact(amount, "amount"))

    # State

    def as_dict(self) -> dict[str, Any]:
        """The book as plain values, for JSON and data frames. Levels are dicts, prices and volumes strings."""
        return {
            "trade_pair": self.trade_pair,
            "current_order_id": self.current_order_id,
            "is_stale": self.is_stale,
            "late_snapshots": self.late_snapshots,
            "bids": [{"price": plain(price), "volume": plain(volume)} for price, volume in self._bids],
            "asks": [{"price": plain(price), "volume": plain(volume)} for price, volume in self._asks],
        }

    @property
    def is_crossed(self) -> bool:
        """Whether a bid is at or above an ask. A healthy book is never crossed, so do not rely on it."""
        return bool(self._bids and self._asks) and self._bids[0][0] >= self._asks[0][0]

    @property
    def is_stale(self) -> bool:
        """Whether no snapshot has arrived since the feed connected; a stale book is empty."""
        return self.current_order_id is None

    @property
    def age(self) -> float:
        """Seconds since the last snapshot, even if disconnected; infinite if there has been none."""
        return math.inf if self._at is None else self._time() - self._at

    # Updates

    def apply(self, snapshot: OrderBookAgg) -> bool:
        """Replace the book by *snapshot* (protocol, "Market data"); levels without volume are left out.

        Returns:
            Whether it was accepted: false for a late snapshot.

        Raises:
            DecodeError: it holds an impossible price or volume. The book is unchanged.
            ConfigurationError: it is for another pair.
        """
        if snapshot.trade_pair != self.trade_pair:
            raise ConfigurationError(f"a snapshot of {snapshot.trade_pair} is not for the book of {self.trade_pair}")
        bids = _sorted(snapshot.buy_levels, best_is_highest=True)
        asks = _sorted(snapshot.sell_levels, best_is_highest=False)
        if self.current_order_id is not None and snapshot.current_order_id < self.current_order_id:
            self._late_in_a_row += 1
            if self._late_in_a_row < _RESTART_AFTER:
                self.late_snapshots += 1
                return False
        self._late_in_a_row = 0
        self._bids, self._asks = bids, asks
        self._at = self._time()
        self.current_order_id = snapshot.current_order_id
        return True

    def restore(self, order_id: int, bids: BookSide, asks: BookSide) -> None:
        """Replace the book by a recorded one, whose levels were checked and sorted before they were recorded.

        It is never late: the book that was recorded had accepted it.
        """
        self._late_in_a_row = 0
        self._bids, self._asks = bids, asks
        self._at = self._time()
        self.current_order_id = order_id

    def clear(self) -> None:
        """Empty the book and mark it stale: the connection was lost."""
        self._bids = self._asks = ()
        self.current_order_id = None

    def __repr__(self) -> str:
        return f"<OrderBook {self.trade_pair}, {self.top}>"

    @property
    def top(self) -> str:
        """The best bid and ask in words, for logs: ``"bid 99.5 × 2, ask 100 × 1"``, or ``"stale"``."""
        if self.is_stale:
            return "stale"
        bid, ask = (f"{side[0][0]:f} × {side[0][1]:f}" if side else "none" for side in (self._bids, self._asks))
        return f"bid {bid}, ask {ask}{', crossed' if self.is_crossed else ''}"


def _sorted(levels: Mapping[Decimal, Decimal], *, best_is_highest: bool) -> BookSide:
    kept = []
    for price, volume in levels.items():
        # NaN and 1E+999999999 can appear in JSON strings. The first would break every comparison, the second every sum.
        if not (price.is_finite() and _LEAST < price < _MOST and volume.is_finite()):
            raise DecodeError(f"impossible volume {volume} at price {price} in a book")
        if volume:
            if not _LEAST < volume < _MOST:
                raise DecodeError(f"impossible volume {volume} at price {price} in a book")
            kept.append((price, volume))
    kept.sort(key=itemgetter(0), reverse=best_is_highest)
    return tuple(kept)
