"""The order book of one pair, as the market-data feed tells it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from operator import itemgetter
from typing import Final, TypeAlias

from ..exceptions import ConfigurationError, DecodeError
from ..messages import AmountLike, OrderBookAgg, exact

__all__ = ["Level", "OrderBook"]

Level: TypeAlias = tuple[Decimal, Decimal]
"""A price and the volume there."""

_RESTART_AFTER: Final = 3
"""So many late snapshots in a row are no accident of delivery: the numbers have begun anew."""

# Contexts of our own: the caller's may round to a few digits. 200 digits hold every sum and product of amounts with a
# meaning; a quotient need not end, so it has its own, smaller number.
_TRAPS: Final = [InvalidOperation, DivisionByZero, Overflow]
_EXACT: Final = Context(prec=200, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=_TRAPS)
_QUOTIENT: Final = Context(prec=50, rounding=ROUND_HALF_EVEN, Emin=-999_999, Emax=999_999, traps=_TRAPS)
_HALF: Final = Decimal("0.5")
_LEAST: Final = Decimal("1E-60")
_MOST: Final = Decimal("1E+60")
"""Generous bounds of a price or volume; 1E-18 is the smallest unit of any currency in wide use."""


class OrderBook:
    """The aggregated book of one pair: always one whole snapshot, never a mixture of two.

    A book is *stale* until its first snapshot and from the moment the link is lost; a stale book is empty. A pair on
    which nothing happens grows older without being stale: :attr:`is_stale` tells of the link, :attr:`age` of the pair.

    Snapshots carry the id of the newest order. One with a lower id than that of the book held is late, and is ignored
    and counted; after three in a row the exchange has evidently begun to count anew, and the third is taken. After a
    disconnect any snapshot is taken.

    All amounts are Decimal. Sums and products are exact; no global decimal context is read or changed.

    Args:
        trade_pair: the pair, ``"BTC_USD"``.
        clock: seconds on any clock that only goes forward.

    Attributes:
        trade_pair: the pair.
        current_order_id: the newest order id of the snapshot held, ``None`` while stale.
        late_snapshots: how many snapshots were ignored because a newer one was held.
    """

    __slots__ = (
        "_asks", "_at", "_bids", "_clock", "_late_in_a_row", "current_order_id", "late_snapshots", "trade_pair",
    )  # fmt: skip

    def __init__(self, trade_pair: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.trade_pair = trade_pair
        self.current_order_id: int | None = None
        self.late_snapshots = 0
        self._clock = clock
        self._bids: tuple[Level, ...] = ()
        self._asks: tuple[Level, ...] = ()
        self._at: float | None = None
        self._late_in_a_row = 0

    # What is in it

    @property
    def bids(self) -> tuple[Level, ...]:
        """What others would pay, highest price first."""
        return self._bids

    @property
    def asks(self) -> tuple[Level, ...]:
        """What others would sell for, lowest price first."""
        return self._asks

    @property
    def best_bid(self) -> Level | None:
        """The highest price that somebody would pay, and the volume there; ``None`` where nobody would."""
        return self._bids[0] if self._bids else None

    @property
    def best_ask(self) -> Level | None:
        """The lowest price that somebody would sell for, and the volume there; ``None`` where nobody would."""
        return self._asks[0] if self._asks else None

    def depth(self, levels: int) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """The best *levels* bids and asks.

        Raises:
            ConfigurationError: *levels* is negative.
        """
        if levels < 0:
            raise ConfigurationError(f"levels={levels} must not be negative")
        return self._bids[:levels], self._asks[:levels]

    @property
    def mid(self) -> Decimal | None:
        """The price halfway between the best bid and the best ask, exactly; ``None`` where a side is empty."""
        if not self._bids or not self._asks:
            return None
        return _EXACT.multiply(_EXACT.add(self._bids[0][0], self._asks[0][0]), _HALF)

    @property
    def spread(self) -> Decimal | None:
        """The best ask less the best bid, negative in a crossed book; ``None`` where a side is empty."""
        if not self._bids or not self._asks:
            return None
        return _EXACT.subtract(self._asks[0][0], self._bids[0][0])

    # What trading against it would give

    def volume_for(self, price: AmountLike, *, buying: bool) -> Decimal:
        """How much can be bought, or sold, without a unit of it at a worse price than *price*.

        Raises:
            ConfigurationError: *price* is a float, no number, or not greater than zero.
        """
        limit = exact(price, "price")
        volume = Decimal(0)
        for level_price, level_volume in self._asks if buying else self._bids:
            if level_price > limit if buying else level_price < limit:
                break
            volume = _EXACT.add(volume, level_volume)
        return volume

    def cost_for_volume(self, amount: AmountLike, *, buying: bool) -> Decimal | None:
        """What buying *amount* costs, or selling it brings, taking the best levels first; fees are not included.

        Returns:
            The exact sum, or ``None`` where the book does not hold as much.

        Raises:
            ConfigurationError: *amount* is a float, no number, or not greater than zero.
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
        """The average price of buying or selling *amount*, taking the best levels first; fees are not included.

        Returns:
            :meth:`cost_for_volume` by *amount*: exact, or rounded to 50 digits where it does not end before; ``None``
            where the book does not hold as much.

        Raises:
            ConfigurationError: *amount* is a float, no number, or not greater than zero.
        """
        cost = self.cost_for_volume(amount, buying=buying)
        return None if cost is None else _QUOTIENT.divide(cost, exact(amount, "amount"))

    # What is known about it

    @property
    def is_crossed(self) -> bool:
        """Whether a bid is at or above an ask, which no exchange's book should ever be: treat it with suspicion."""
        return bool(self._bids and self._asks) and self._bids[0][0] >= self._asks[0][0]

    @property
    def is_stale(self) -> bool:
        """Whether there was no snapshot since the link was opened; there is nothing in the book then."""
        return self.current_order_id is None

    @property
    def age(self) -> float:
        """Seconds since the last snapshot, disconnected or not; infinite where there never was one."""
        return math.inf if self._at is None else self._clock() - self._at

    # What changes it

    def apply(self, snapshot: OrderBookAgg) -> bool:
        """Put *snapshot* in the place of what is held (protocol, "Market data"); levels without volume are left out.

        Returns:
            Whether it was taken: false for a late one.

        Raises:
            DecodeError: it holds a price or volume that cannot be. The book is unchanged.
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
        self._at = self._clock()
        self.current_order_id = snapshot.current_order_id
        return True

    def clear(self) -> None:
        """Empty it and mark it stale: the link was lost."""
        self._bids = self._asks = ()
        self.current_order_id = None

    def __repr__(self) -> str:
        if self.is_stale:
            return f"<OrderBook {self.trade_pair}, stale>"
        bid, ask = (f"{side[0][0]:f}" if side else "none" for side in (self._bids, self._asks))
        return f"<OrderBook {self.trade_pair}, bid {bid}, ask {ask}{', crossed' if self.is_crossed else ''}>"


def _sorted(levels: Mapping[Decimal, Decimal], *, best_is_highest: bool) -> tuple[Level, ...]:
    kept = []
    for price, volume in levels.items():
        # NaN and 1E+999999999 are numbers in JSON strings. The first would poison every comparison, the last every sum.
        if not (price.is_finite() and _LEAST < price < _MOST and volume.is_finite()):
            raise DecodeError(f"a book with volume {volume} at price {price} cannot be")
        if volume:
            if not _LEAST < volume < _MOST:
                raise DecodeError(f"a book with volume {volume} at price {price} cannot be")
            kept.append((price, volume))
    kept.sort(key=itemgetter(0), reverse=best_is_highest)
    return tuple(kept)
