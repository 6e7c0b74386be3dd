"""Runs a bot on a recording: the same bot code, a real client, and an exchange whose market is the recording.

Everything happens in virtual time, so a day takes minutes. Running the same backtest twice gives the same events, byte
for byte.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from ..client import Client
from ..exceptions import ConfigurationError
from ..exchange import Exchange
from ..exchange.link import ClientLink
from ..exchange.units import as_decimal
from ..keys import PrivateKey
from ..market_data import Feed
from ..messages import AmountLike, BuyOrderPlaced, OwnTrade, SellOrderPlaced, decode, plain
from ..transport import memory_opener
from ..wire import Protocol
from .equity import EquityCurve, EquityPoint
from .mirror import MirrorFeed, Mirrors
from .recorded_clock import RecordedClock
from .replay import Replay
from .virtual_time import VirtualLoop

__all__ = ["BacktestResult", "Bot", "backtest"]

Bot: TypeAlias = Callable[[Client, Feed], Coroutine[Any, Any, Any]]
"""A bot: ``async def main(client, feed)``. It ends by itself, or is cancelled when the recording has ended."""

_CLIENT_ID: Final = "bot"
_MOST_LATENCY_S: Final = 60.0
_GRACE_S: Final = 1.0
"""Seconds of virtual time that a bot has after the end of the recording."""


class BacktestResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a backtest has shown.

    Attributes:
        recording: the file.
        quote: the currency in which equity counts.
        fills: every trade of the bot, in order.
        events: every event that the bot received, one JSON object a line; the same in every run.
        orders: how many orders were accepted.
        balances: available and on hold together at the end, by currency.
        fees: what was paid, by currency.
        points: equity and prices over time.
        max_drawdown: the most that equity was ever below an earlier equity.
        start: the time of the first update.
        end: the time of the last.
        updates: how many updates the market had.
        unvalued: currencies that no pair of the recording can value; equity is without them.
        elapsed_s: how many seconds of real time it took.
    """

    recording: str
    quote: str
    fills: list[OwnTrade]
    events: bytes
    orders: int
    balances: dict[str, Decimal]
    fees: dict[str, Decimal]
    points: list[EquityPoint]
    max_drawdown: Decimal
    start: datetime
    end: datetime
    updates: int
    unvalued: list[str]
    elapsed_s: float

    @property
    def profit(self) -> Decimal:
        """The last equity minus the first; 0 if there is none."""
        known = [point.equity for point in self.points if point.equity is not None]
        return known[-1] - known[0] if known else Decimal(0)

    @property
    def speed(self) -> float:
        """Seconds of the recording for each second of real time."""
        return (self.end - self.start).total_seconds() / self.elapsed_s

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain values, for JSON; without events and points."""
        return {
            "recording": self.recording,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "updates": self.updates,
            "orders": self.orders,
            "fills": len(self.fills),
            "quote": self.quote,
            "profit": plain(round(self.profit, 8)),
            "max_drawdown": plain(round(self.max_drawdown, 8)),
            "balances": {currency: plain(amount) for currency, amount in self.balances.items()},
            "fees": {currency: plain(amount) for currency, amount in self.fees.items()},
            "unvalued": self.unvalued,
            "elapsed_s": self.elapsed_s,
            "speed": self.speed,
        }


def backtest(
    recording: str | os.PathLike[str],
    bot: Bot,
    *,
    balances: Mapping[str, AmountLike],
    quote: str | None = None,
    pairs: Iterable[str] | None = None,
    since: datetime | float | None = None,
    maker_fee: AmountLike = 0,
    taker_fee: AmountLike = 0,
    latency: float = 0.0,
    skip_damaged: bool = False,
) -> BacktestResult:
    """Run *bot* on a recording, as fast as the machine can. Not to be called from a coroutine.

    The bot gets a connected :class:`~cryptoproto.Client` and a started :class:`~cryptoproto.Feed`. Time in its event
    loop is that of the recording: ``asyncio.sleep(60)`` is a minute of it. ``feed.time_ns()`` is the recorded time.
    No time passes for threads and real connections of the bot. How orders are filled: ``docs/recording.md``.

    Args:
        recording: the file.
        bot: ``async def main(client, feed)``.
        balances: what the bot starts with, ``{"USD": "100000"}``.
        quote: the currency in which equity counts; by default the first of *balances*.
        pairs: the pairs to keep; ``None`` = all.
        since: begin at this time; see :class:`Replay`.
        maker_fee: the fraction of what a resting order receives.
        taker_fee: the same for an order that is filled at once.
        latency: seconds that an order takes to the exchange, and that an event takes back.
        skip_damaged: leave damaged parts of the recording out.

    Raises:
        ConfigurationError: an option or the recording cannot be used.
        RecordingError: the recording is damaged.
        Exception: what the bot raises.
    """
    if not inspect.iscoroutinefunction(bot):
        raise ConfigurationError(f"bot={bot!r} must be a coroutine function: async def main(client, feed)")
    if isinstance(latency, bool) or not isinstance(latency, int | float) or not 0 <= latency <= _MOST_LATENCY_S:
        raise ConfigurationError(f"latency={latency!r} must be a number of seconds, 0 to {_MOST_LATENCY_S}")
    if not balances:
        raise ConfigurationError('balances={} must name what the bot starts with, like {"USD": "100000"}')
    maker, taker = as_decimal(maker_fee, "maker_fee"), as_decimal(taker_fee, "taker_fee")
    before = time.perf_counter()
    replay = Replay(recording, pairs=pairs, since=since, max_queue=1, skip_damaged=skip_damaged)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        run = _Run(replay, balances, quote or next(iter(balances)), maker, taker)
        runner.run(run.main(bot, latency))
    return run.result(time.perf_counter() - before)


class _Run:
    """One backtest. An update reaches the exchange first, then the equity curve, and then the bot."""

    def __init__(
        self, replay: Replay, balances: Mapping[str, AmountLike], quote: str, maker_fee: Decimal, taker_fee: Decimal
    ) -> None:
        self._replay = replay
        self._key = PrivateKey.generate()
        # Neither the exchange nor the bot has a reference to the replay, so a bot cannot look ahead.
        self._clock = RecordedClock(replay.time_ns())
        self._market = MirrorFeed(replay.source, pairs=replay.pairs, max_queue=1, clock=self._clock)
        self._exchange = Exchange(feed=self._market, maker_fee=maker_fee, taker_fee=taker_fee)
        self._exchange.register(_CLIENT_ID, self._key.public_key, balances)
        self._equity = EquityCurve(self._market, quote, functools.partial(_totals, self._exchange))
        self._market.attach(self._equity)

    async def main(self, bot: Bot, latency: float) -> None:
        replay = self._replay
        feed = MirrorFeed(replay.source, pairs=replay.pairs, clock=self._clock)
        replay.attach(Mirrors(replay, self._clock, self._market, feed))
        client = Client(
            "ws://127.0.0.1",
            client_id=_CLIENT_ID,
            private_key=self._key,
            server_key=self._exchange.public_key,
            transport=memory_opener(functools.partial(ClientLink, self._exchange), delay=latency),
            protocol=Protocol.V5,  # without a signature for each message, which would be most of the work
            lock=False,
            order_ids=itertools.count(1).__next__,
        )
        async with client, feed:
            running = asyncio.ensure_future(bot(client, feed))
            try:
                async with replay:
                    await _either(running, _ended(replay))
                await asyncio.wait({running}, timeout=_GRACE_S)
            finally:
                running.cancel()
                await asyncio.wait({running})
        await self._exchange.close()
        if not running.cancelled():
            running.result()
        if replay.state.error is not None:
            raise replay.state.error

    def result(self, elapsed_s: float) -> BacktestResult:
        record = self._exchange.venue.client(_CLIENT_ID)
        raws = [] if record is None else [transaction.payload for transaction in record.history]
        messages = [decode(raw) for raw in raws]
        equity = self._equity
        return BacktestResult(
            recording=self._replay.source,
            quote=equity.quote,
            fills=[message for message in messages if isinstance(message, OwnTrade)],
            events=b"".join(raw + b"\n" for raw in raws),
            orders=sum(isinstance(message, BuyOrderPlaced | SellOrderPlaced) for message in messages),
            balances=_totals(self._exchange),
            fees=self._exchange.venue.engine.collected_fees,
            points=equity.finish(),
            max_drawdown=equity.max_drawdown,
            start=equity.start,
            end=equity.end,
            updates=equity.updates,
            unvalued=sorted(equity.unvalued),
            elapsed_s=elapsed_s,
        )


def _totals(exchange: Exchange) -> dict[str, Decimal]:
    balances = exchange.balances(_CLIENT_ID).balances
    return {currency: each.available + each.on_hold for currency, each in balances.items()}


async def _ended(feed: Feed) -> None:
    async for _ in feed.states():
        pass


async def _either(running: asyncio.Future[Any], other: Coroutine[Any, Any, None]) -> None:
    """Wait for *running*, or for *other*, which is cancelled then."""
    waiting = asyncio.ensure_future(other)
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
