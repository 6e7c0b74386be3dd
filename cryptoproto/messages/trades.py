"""The client's own executions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from .base import Message, Time, moment

__all__ = ["OwnTrade"]


class OwnTrade(Message, frozen=True, gc=False):
    """One fill of one of the client's orders.

    *maker* says whether the client's order rested in the book; *maker_buy* whether the resting order was the buy
    order. The client was the buyer if both are equal.
    """

    order_id: int
    trade_pair: str
    amount: Decimal
    price: Decimal
    maker: bool
    maker_buy: bool
    time: Time
    client_order_id: int | None = None

    @property
    def at(self) -> datetime:
        """When it happened, exact to the microsecond, in UTC."""
        return moment(self.time)

    @property
    def bought(self) -> bool:
        """Whether the client was the buyer."""
        return self.maker == self.maker_buy
