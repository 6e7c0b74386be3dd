"""Candles: what traded in each interval, exactly."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Final, overload

import msgspec

from ..exceptions import ConfigurationError
from ..market_data import Feed, FeedState, FeedStateChange, MarketUpdate
from ..messages import AnonymousTrade, AsDict
from .durations import seconds_of
from .recording_trades import Interruption, recording_trades

__all__ = ["Candle", "CandleBuilder", "candles"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT: Final = Context(prec=200)  # holds every sum of realistic amounts
_QUOTIENT: Final = Context(prec=50)
_PATIENCE_MS: Final = 1000
"""How long after the end of an interval a live candle waits for trades that are under way."""


class Candle(AsDict, msgspec.Struct, frozen=True, kw_only=True):
    """The trades of one pair in one interval.

    Attributes:
        trade_pair: the pair.
        start: the start of the interval, in UTC.
        end: its end, which belongs to the next one.
        open: the price of the first trade.
        high: the highest price.
        low: the lowest price.
        close: the price of the last trade.
        volume: the sum of the amounts.
        buy_volume: the part of it in which the incoming order bought.
        turnover: the sum of amount × price.
        trades: how many trades there were. If none, all prices are the last one before.
        has_gap: whether trades may be missing, because the feed or its recorder was interrupted.
    """

    trade_pair: str
    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    buy_volume: Decimal
    turnover: Decimal
    trades: int
    has_gap: bool

    @property
    def average_price(self) -> Decimal | None:
        """The volume-weighted average price, rounded to 50 digits; ``None`` without trades."""
        return _QUOTIENT.divide(self.turnover, self.volume) if self.volume else None


class _Open:
    """The candle of a pair that is not yet complete."""

    __slots__ = ("buy_volume", "close", "first", "has_gap", "high", "low", "start_ms", "trades", "turnover", "volume")

    def __init__(self, start_ms: int, price: Decimal, *, has_gap: bool) -> None:
        self.start_ms = start_ms
        self.first = self.high = self.low = self.close = price
        self.volume = self.buy_volume = self.turnover = Decimal(0)
        self.trades = 0
        self.has_gap = has_gap

    def add(self, trade: AnonymousTrade) -> None:
        price, amount = trade.price, trade.amount
        if not self.trades:
            self.first = self.high = self.low = price
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
        self.volume = _EXACT.add(self.volume, amount)
        self.turnover = _EXACT.fma(amount, price, self.turnover)
        if not trade.maker_buy:
            self.buy_volume = _EXACT.add(self.buy_volume, amount)
        self.trades += 1


class CandleBuilder:
    """Makes candles of trades as they come.

    Intervals begin at multiples of their length since 1970 in UTC: ``"1h"`` at full hours. Each pair has a candle for
    every interval from its first trade on, also for those without trades, unless *fill* is false. A trade that comes
    after its interval is complete counts in the next one.

    Args:
        interval: the length, ``"1m"``.
        fill: whether there are candles for intervals without trades.

    Raises:
        ConfigurationError: *interval* is not a duration.
    """

    def __init__(self, interval: str = "1m", *, fill: bool = True) -> None:
        self._length_ms = seconds_of(interval, "interval") * 1000
        self._fill = fill
        self._open: dict[str, _Open] = {}
        self._gap = False

    def add(self, trade: AnonymousTrade) -> list[Candle]:
        """Take in a trade; returns the candles of its pair that it completes."""
        seconds, milliseconds = trade.time
        now_ms = seconds * 1000 + milliseconds
        current = self._open.get(trade.trade_pair)
        done: list[Candle] = []
        if current is not None:
            done = self._advance(trade.trade_pair, current, now_ms)
            current = self._open[trade.trade_pair]
        else:
            current = _Open(now_ms - now_ms % self._length_ms, trade.price, has_gap=self._gap)
            self._open[trade.trade_pair] = current
        current.add(trade)
        return done

    def advance(self, now_ms: int) -> list[Candle]:
        """The candles of all pairs that are complete at that time, milliseconds since 1970."""
        return [done for pair, current in tuple(self._open.items()) for done in self._advance(pair, current, now_ms)]

    def interrupt(self) -> None:
        """From here on trades may be missing, until :meth:`resume`."""
        self._gap = True
        for current in self._open.values():
            current.has_gap = True

    def resume(self) -> None:
        """From here on no trades are missing."""
        self._gap = False

    def finish(self) -> list[Candle]:
        """The candles that are not complete, as they are."""
        done = [self._candle(pair, current) for pair, current in self._open.items() if current.trades or self._fill]
        self._open.clear()
        return done

    def _advance(self, pair: str, current: _Open, now_ms: int) -> list[Candle]:
        start_ms = now_ms - now_ms % self._length_ms
        done = []
        while current.start_ms < start_ms:
            if current.trades or self._fill:
                done.append(self._candle(pair, current))
            following = current.start_ms + self._length_ms if self._fill else start_ms
            current = self._open[pair] = _Open(following, current.close, has_gap=self._gap)
        return done

    def _candle(self, pair: str, current: _Open) -> Candle:
        start = _EPOCH + timedelta(milliseconds=current.start_ms)
        return Candle(
            trade_pair=pair,
            start=start,
            end=start + timedelta(milliseconds=self._length_ms),
            open=current.first,
            high=current.high,
            low=current.low,
            close=current.close,
            volume=current.volume,
            buy_volume=current.buy_volume,
            turnover=current.turnover,
            trades=current.trades,
            has_gap=current.has_gap,
        )


@overload
def candles(
    trades: str | os.PathLike[str] | Iterable[AnonymousTrade],
    interval: str = "1m",
    *,
    trade_pair: str | None = None,
    fill: bool = True,
    skip_damaged: bool = False,
) -> Iterator[Candle]: ...


@overload
def candles(
    trades: AsyncIterable[MarketUpdate], interval: str = "1m", *, trade_pair: str | None = None, fill: bool = True
) -> AsyncIterator[Candle]: ...


def candles(
    trades: str | os.PathLike[str] | Iterable[AnonymousTrade] | AsyncIterable[MarketUpdate],
    interval: str = "1m",
    *,
    trade_pair: str | None = None,
    fill: bool = True,
    skip_damaged: bool = False,
) -> Iterator[Candle] | AsyncIterator[Candle]:
    """The candles of recorded or live trades.

    ::

        for candle in cp.candles("monday.rec", "5m"): ...
        async for candle in cp.candles(feed, "1m"): ...

    Args:
        trades: a recording, any iterable of trades, or a :class:`~cryptoproto.Feed`. A live candle comes a second after
            its end, with the next update.
        interval: their length: ``"30s"``, ``"1m"``, ``"4h"``, ``"1d"``.
        trade_pair: only this pair; ``None`` = all.
        fill: whether there are candles for intervals without trades.
        skip_damaged: leave damaged parts of a recording out; their candles have ``has_gap``.

    Returns:
        An iterator; an asynchronous one for a feed. The last candle of each pair may be incomplete.

    Raises:
        ConfigurationError: *interval* is not a duration, or the file is not a recording.
        RecordingError: the recording is damaged.
    """
    builder = CandleBuilder(interval, fill=fill)
    if isinstance(trades, str | os.PathLike):
        return _of_trades(builder, recording_trades(trades, trade_pair=trade_pair, skip_damaged=skip_damaged), None)
    if isinstance(trades, Iterable):
        return _of_trades(builder, trades, trade_pair)
    if isinstance(trades, AsyncIterable):
        return _of_updates(builder, trades, trade_pair)
    raise ConfigurationError(f"trades={trades!r:.60} must be a recording, an iterable of trades, or a feed")


def _of_trades(
    builder: CandleBuilder, trades: Iterable[AnonymousTrade | Interruption], trade_pair: str | None
) -> Iterator[Candle]:
    for trade in trades:
        if isinstance(trade, Interruption):
            yield from builder.advance(trade.start_us // 1000)
            builder.interrupt()
            yield from builder.advance(trade.end_us // 1000)
            builder.resume()
        elif trade_pair is None or trade.trade_pair == trade_pair:
            yield from builder.add(trade)
    yield from builder.finish()


async def _of_updates(
    builder: CandleBuilder, updates: AsyncIterable[MarketUpdate], trade_pair: str | None
) -> AsyncIterator[Candle]:
    feed = updates if isinstance(updates, Feed) else None
    watcher = _Watcher(builder)
    if feed is not None:
        feed.attach(watcher)
    try:
        async for update in updates:
            if isinstance(update, AnonymousTrade) and trade_pair in (None, update.trade_pair):
                for candle in builder.add(update):
                    yield candle
            if feed is not None:
                for candle in builder.advance(feed.time_ns() // 1_000_000 - _PATIENCE_MS):
                    yield candle
    finally:
        if feed is not None:
            feed.detach(watcher)
    for candle in builder.finish():
        yield candle


class _Watcher:
    """Tells a builder when its feed is interrupted."""

    def __init__(self, builder: CandleBuilder) -> None:
        self._builder = builder

    def on_update(self, update: MarketUpdate) -> None:
        """See :class:`~cryptoproto.FeedObserver`. The iteration gets it, too."""

    def on_state(self, change: FeedStateChange) -> None:
        """See :class:`~cryptoproto.FeedObserver`."""
        if change.state is FeedState.LIVE:
            self._builder.resume()
        elif change.state is FeedState.WAITING:
            self._builder.interrupt()
