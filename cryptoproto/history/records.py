"""What a history gives: trades, orders with their changes, and balances. Amounts are exact, times are in UTC."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias

import msgspec

from ..messages import AsDict, Side, TimeInForce

__all__ = [
    "BalanceRecord",
    "OrderChange",
    "OrderRecord",
    "RecordedStatus",
    "TradeRecord",
]

RecordedStatus: TypeAlias = Literal["pending", "open", "filled", "cancelled", "rejected", "not_placed"]
"""The status of an order as far as the history knows: ``"pending"``: sent, without an answer so far; ``"not_placed"``:
the exchange refused it with an error, or never received it."""


class TradeRecord(AsDict, msgspec.Struct, frozen=True, kw_only=True):
    """One fill of one of the client's orders.

    Attributes:
        transaction_id: of its event; unique.
        time: when it happened at the exchange.
        trade_pair: base and quote currency.
        side: buy or sell.
        amount: how much of the base currency.
        price: in the quote currency.
        fee: what was charged, in *fee_currency*; ``None`` if the exchange did not say.
        fee_currency: the currency received: base for a buyer, quote for a seller.
        maker: whether the order rested in the book.
        order_id: the order's number at the exchange.
        client_order_id: the client's own number for the order, if it has one.
    """

    transaction_id: int
    time: datetime
    trade_pair: str
    side: Side
    amount: Decimal
    price: Decimal
    fee: Decimal | None
    fee_currency: str
    maker: bool
    order_id: int
    client_order_id: int | None


class OrderChange(AsDict, msgspec.Struct, frozen=True, kw_only=True):
    """One change of an order.

    Attributes:
        transaction_id: of its event; ``None`` if no event reported it, because it happened here.
        time: when it happened.
        order_id: the order's number at the exchange, if it is known.
        client_order_id: the client's own number for the order, if it has one.
        trade_pair: base and quote currency.
        side: buy or sell.
        what: ``"sent"``, ``"placed"``, ``"filled"`` (in part or completely), ``"changed"`` (what is left changed
            without a fill), ``"closed"`` (completely filled), ``"cancelled"``, ``"rejected"`` or ``"not_placed"``.
        amount: of the order if it was sent, placed or rejected, otherwise of the fill.
        price: the limit if it was sent, placed or rejected, otherwise the price of the fill.
        remaining: what was left afterwards, if the event says so.
        fee: what was charged for a fill, in the currency received.
        reason: why it was rejected.
    """

    transaction_id: int | None
    time: datetime
    order_id: int | None
    client_order_id: int | None
    trade_pair: str
    side: Side
    what: Literal["sent", "placed", "filled", "changed", "closed", "cancelled", "rejected", "not_placed"]
    amount: Decimal | None = None
    price: Decimal | None = None
    remaining: Decimal | None = None
    fee: Decimal | None = None
    reason: str | None = None


class OrderRecord(AsDict, msgspec.Struct, frozen=True, kw_only=True):
    """One order, as of the end of the history.

    What no event contains is known if this client sent the order: *time_in_force*, *ttl* and *sent_at*. Terms that are
    not known, as of an order that was placed before the history began, are ``None``.

    Attributes:
        order_id: the order's number at the exchange; ``None`` if it has none.
        client_order_id: the client's own number for it.
        trade_pair: base and quote currency.
        side: buy or sell.
        time_in_force: what happened to the part that was not filled immediately.
        ttl: seconds until the exchange cancels it; 0 = never.
        amount: how much was ordered.
        price: the limit.
        filled: how much was filled in this history.
        average_price: the mean price of the fills, to forty digits; ``None`` without any.
        fees: what was charged, in the currency received.
        status: see ``RecordedStatus``.
        sent_at: when it was sent, by the clock of this machine.
        began_at: when its first event happened; *sent_at* if there is none.
        ended_at: when it ended, ``None`` if it has not.
        reason: why it was rejected.
        changes: every change, oldest first.
    """

    order_id: int | None
    client_order_id: int | None
    trade_pair: str
    side: Side
    time_in_force: TimeInForce | None
    ttl: int | None
    amount: Decimal | None
    price: Decimal | None
    filled: Decimal
    average_price: Decimal | None
    fees: Decimal
    status: RecordedStatus
    sent_at: datetime | None
    began_at: datetime
    ended_at: datetime | None
    reason: str | None
    changes: tuple[OrderChange, ...]


class BalanceRecord(AsDict, msgspec.Struct, frozen=True, kw_only=True):
    """The balance of one currency after a change.

    Attributes:
        transaction_id: of the event; for an opening balance, the last transaction before it.
        time: when it changed; for an opening balance, the beginning of the range or of the history.
        currency: which one.
        available: what can be used.
        on_hold: what open orders have reserved. It is in no event, but computed; see ``known_balances``.
        change: of *available*.
        reason: ``"opening"``: what there was before; ``"trade"``, ``"on_hold"``, ``"transfer"`` or ``"withdraw"``, as
            the exchange said; ``"stated"``: the exchange stated another balance than the events gave.
    """

    transaction_id: int
    time: datetime
    currency: str
    available: Decimal
    on_hold: Decimal
    change: Decimal
    reason: str

    @property
    def total(self) -> Decimal:
        """What can be used and what is on hold together."""
        return self.available + self.on_hold
