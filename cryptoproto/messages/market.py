"""Public market data, and the broadcasts that are sent on both sockets."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from .base import Message, Time, moment
from .plain_values import AsDict

__all__ = [
    "AnonymousTrade",
    "InstrumentRules",
    "OrderBookAgg",
    "TradesDisabledOnPairs",
    "TradesEnabledOnPairs",
    "TradingRules",
]


class OrderBookAgg(Message, frozen=True, gc=False):
    """The whole aggregated book of one pair: price level to volume. It replaces the previous one."""

    trade_pair: str
    current_order_id: int
    buy_levels: dict[Decimal, Decimal]
    sell_levels: dict[Decimal, Decimal]


class AnonymousTrade(Message, frozen=True, gc=False):
    """A trade between any two clients; *time* is ``(unix seconds, milliseconds)``."""

    trade_pair: str
    current_order_id: int
    amount: Decimal
    price: Decimal
    maker_buy: bool
    time: Time

    @property
    def at(self) -> datetime:
        """When it happened, exact to the millisecond, in UTC."""
        return moment(self.time, fraction=1000)


class TradesDisabledOnPairs(Message, frozen=True, gc=False):
    """Trading has stopped on these pairs; orders for them are rejected."""

    trade_pairs: list[str]


class TradesEnabledOnPairs(Message, frozen=True, gc=False):
    """Trading has resumed on these pairs."""

    trade_pairs: list[str]


class InstrumentRules(AsDict, msgspec.Struct, frozen=True, gc=False):
    """The rules of one pair in :class:`TradingRules`; :class:`~cryptoproto.Instrument` applies them."""

    trade_pair: str
    tick_size: Decimal
    lot_size: Decimal
    min_amount: Decimal
    min_value: Decimal
    max_amount: Decimal | None = None
    max_value: Decimal | None = None


class TradingRules(Message, frozen=True, gc=False):
    """The rules of all pairs: the first message of the market-data socket, and repeated when they change.

    An addition of this package to the protocol: other exchanges do not send it, and other readers ignore it.
    """

    instruments: list[InstrumentRules]
