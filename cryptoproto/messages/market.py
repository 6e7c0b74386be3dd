"""Public market data, and the broadcasts that are sent on both sockets."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from .base import Message, Time, moment

__all__ = ["AnonymousTrade", "OrderBookAgg", "TradesDisabledOnPairs", "TradesEnabledOnPairs"]


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
