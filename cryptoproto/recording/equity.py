"""What an account is worth over time, at the prices of the market."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Final

import msgspec

from ..market_data import Feed, FeedStateChange, MarketUpdate

__all__ = ["EquityCurve", "EquityPoint"]

_MOST_POINTS: Final = 4000
_INTERVAL_US: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Values are rounded to 50 digits: prices may be the inverse of others.
_CONTEXT: Final = Context(prec=50)


class EquityPoint(msgspec.Struct, frozen=True):
    """One moment.

    Attributes:
        at: when.
        equity: what the account was worth; ``None`` while nothing has a price.
        drawdown: how far that is below the highest equity before.
        prices: the middle of the book of each pair.
    """

    at: datetime
    equity: Decimal | None
    drawdown: Decimal
    prices: dict[str, Decimal]


class EquityCurve:
    """Observes a feed, and values an account once a second, or less often in a long recording.

    Args:
        market: the feed; attach this to it.
        quote: the currency of the values.
        totals: returns what the account has of each currency.

    Attributes:
        quote: the currency of the values.
        updates: how many updates there were.
        unvalued: currencies of the account that have no price in *quote*, neither in one way nor in the other.
        max_drawdown: the highest drawdown of all points, also of those that were left out.
    """

    def __init__(self, market: Feed, quote: str, totals: Callable[[], Mapping[str, Decimal]]) -> None:
        self.quote: str = quote
        self.updates: int = 0
        self.unvalued: set[str] = set()
        self.max_drawdown: Decimal = Decimal(0)
        self._market = market
        self._totals = totals
        self._first_totals = dict(totals())
        self._prices: dict[str, Decimal] = {}
        self._points: list[EquityPoint] = []
        self._peak: Decimal | None = None
        self._interval_us = _INTERVAL_US
        self._start_us: int | None = None
        self._last_us = market.time_ns() // 1000
        self._next_us = 0

    @property
    def start(self) -> datetime:
        """The time of the first update; without any, that of the feed at first."""
        return _moment(self._last_us if self._start_us is None else self._start_us)

    @property
    def end(self) -> datetime:
        """The time of the last update; see :attr:`start`."""
        return _moment(self._last_us)

    def on_update(self, update: MarketUpdate) -> None:
        """See :class:`~cryptoproto.FeedObserver`."""
        self.updates += 1
        self._last_us = now_us = self._market.time_ns() // 1000
        if self._start_us is None:
            self._start_us = now_us
            self._next_us = now_us + self._interval_us
        elif now_us >= self._next_us:
            self._sample(now_us)
            self._next_us = now_us + self._interval_us

    def on_state(self, change: FeedStateChange) -> None:
        """See :class:`~cryptoproto.FeedObserver`. While the market is lost, its last prices stay."""
        self._look()

    def finish(self) -> list[EquityPoint]:
        """All points, one at the end included."""
        if self._start_us is not None:
            self._sample(self._last_us)
        return self._points

    def _sample(self, now_us: int) -> None:
        self._look()
        if not self._points and self._start_us is not None:
            # What there was at first, at the first prices: some come a little later than others.
            self._add(self._start_us, self._first_totals)
        self._add(now_us, self._totals())
        if len(self._points) > _MOST_POINTS:
            del self._points[1::2]
            self._interval_us *= 2

    def _add(self, at_us: int, totals: Mapping[str, Decimal]) -> None:
        equity = self._value(totals)
        drawdown = Decimal(0)
        if equity is not None:
            self._peak = equity if self._peak is None else max(self._peak, equity)
            drawdown = self._peak - equity
            self.max_drawdown = max(self.max_drawdown, drawdown)
        self._points.append(EquityPoint(_moment(at_us), equity, drawdown, dict(self._prices)))

    def _look(self) -> None:
        for pair, book in self._market.books.items():
            mid = book.mid
            if mid is not None:
                self._prices[pair] = mid

    def _value(self, totals: Mapping[str, Decimal]) -> Decimal | None:
        self.unvalued.clear()
        value = None
        for currency, total in totals.items():
            rate = self._rate(currency)
            if rate is not None:
                value = _CONTEXT.fma(total, rate, value or Decimal(0))
            elif total:
                self.unvalued.add(currency)
        return value

    def _rate(self, currency: str) -> Decimal | None:
        if currency == self.quote:
            return Decimal(1)
        direct = self._prices.get(f"{currency}_{self.quote}")
        if direct is not None:
            return direct
        inverse = self._prices.get(f"{self.quote}_{currency}")
        return None if not inverse else _CONTEXT.divide(Decimal(1), inverse)


def _moment(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
