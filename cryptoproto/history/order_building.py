"""One order while its events are read."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any, Final, Literal

from ..messages import (
    EXACT,
    OrderAmountChanged,
    OrderPlaced,
    OwnTrade,
    Side,
)
from ..messages.terms import TERMS
from .reader import Entry, SentOrder
from .records import OrderChange, OrderRecord, RecordedStatus
from .time_range import from_microseconds

__all__ = ["OrderBuilding"]

_ZERO: Final = Decimal(0)
_QUOTIENT: Final = Context(prec=40, traps=[])


class OrderBuilding:
    """What is known of an order so far.

    Args:
        began_us: when its first event happened, or when it was sent.
        trade_pair: base and quote currency.
        side: buy or sell.
        client_order_id: the client's own number.

    Attributes:
        order_id: the number that the exchange gave it.
        ended_us: when it ended.
    """

    def __init__(self, began_us: int, trade_pair: str, side: Side, client_order_id: int | None) -> None:
        self.trade_pair = trade_pair
        self.client_order_id = client_order_id
        self.order_id: int | None = None
        self.ended_us: int | None = None
        self._began_us = began_us
        self._side: Side = side
        self._sent: SentOrder | None = None
        self._amount: Decimal | None = None
        self._price: Decimal | None = None
        self._filled = _ZERO
        self._cost = _ZERO
        self._fees = _ZERO
        self._status: RecordedStatus = "open"
        self._reason: str | None = None
        self._changes: list[OrderChange] = []

    @classmethod
    def of(cls, sent: SentOrder, began_us: int | None = None) -> OrderBuilding:
        """The order that was *sent*."""
        message = sent.message
        began_us = sent.sent_us if began_us is None else began_us
        order = cls(began_us, message.trade_pair, TERMS[type(message)][0], message.client_order_id)
        order._status = "pending"
        order.be_sent(sent)
        return order

    def be_sent(self, sent: SentOrder) -> None:
        """It is known how it was sent."""
        terms: Any = sent.message  # holds Decimals
        self._sent = sent
        self._amount, self._price = terms.amount, terms.price
        self._changes.insert(0, self._made("sent", None, sent.sent_us, amount=terms.amount, price=terms.price))

    def place(self, entry: Entry, message: OrderPlaced) -> None:
        """The exchange has accepted it."""
        self._amount, self._price = message.initial_amount, message.price
        self.change("placed", entry, amount=message.initial_amount, price=message.price, remaining=message.amount)
        if message.closed_inline:
            self.end("filled", entry.time_us)

    def fill(self, entry: Entry, trade: OwnTrade, change: OrderAmountChanged | None) -> None:
        """It was filled, in part or completely."""
        self._filled = EXACT.add(self._filled, trade.amount)
        self._cost = EXACT.add(self._cost, EXACT.multiply(trade.price, trade.amount))
        remaining, fee = (None, None) if change is None else (change.amount, change.fee)
        if fee is not None:
            self.add_fee(fee)
        self.change("filled", entry, amount=trade.amount, price=trade.price, remaining=remaining, fee=fee)

    def add_fee(self, fee: Decimal) -> None:
        """A fee was charged."""
        self._fees = EXACT.add(self._fees, fee)

    def change(self, what: Any, entry: Entry, **more: Any) -> None:
        """Something happened to it."""
        self._changes.append(self._made(what, entry.transaction_id, entry.time_us, **more))

    def end(self, status: RecordedStatus, time_us: int) -> None:
        """It has ended."""
        self._status = status
        self.ended_us = time_us

    def refuse(
        self,
        status: Literal["rejected", "not_placed"],
        time_us: int,
        transaction_id: int | None = None,
        *,
        reason: str,
    ) -> None:
        """It was never placed."""
        self._reason = reason
        change = self._made(status, transaction_id, time_us, amount=self._amount, price=self._price, reason=reason)
        self._changes.append(change)
        self.end(status, time_us)

    def record(self) -> OrderRecord:
        """The order as it is now."""
        sent = self._sent
        return OrderRecord(
            order_id=self.order_id,
            client_order_id=self.client_order_id,
            trade_pair=self.trade_pair,
            side=self._side,
            time_in_force=None if sent is None else TERMS[type(sent.message)][1],
            ttl=None if sent is None else sent.message.ttl,
            amount=self._amount,
            price=self._price,
            filled=self._filled,
            average_price=_QUOTIENT.divide(self._cost, self._filled) if self._filled else None,
            fees=self._fees,
            status=self._status,
            sent_at=None if sent is None else from_microseconds(sent.sent_us),
            began_at=from_microseconds(self._began_us),
            ended_at=None if self.ended_us is None else from_microseconds(self.ended_us),
            reason=self._reason,
            changes=tuple(self._changes),
        )

    def _made(self, what: Any, transaction_id: int | None, time_us: int, **more: Any) -> OrderChange:
        return OrderChange(
            transaction_id=transaction_id,
            time=from_microseconds(time_us),
            order_id=self.order_id,
            client_order_id=self.client_order_id,
            trade_pair=self.trade_pair,
            side=self._side,
            what=what,
            **more,
        )
