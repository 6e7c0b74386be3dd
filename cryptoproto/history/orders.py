"""Orders put together from their events, and from the messages that placed them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from ..messages import (
    InsufficientFunds,
    OrderAmountChanged,
    OrderCancelled,
    OrderPlaced,
    OwnTrade,
    Side,
)
from .fills import Fill, with_fees
from .order_building import OrderBuilding
from .reader import Entry, Reader, SentOrder
from .records import OrderRecord
from .time_range import FOREVER

__all__ = ["order_records"]

_REFUSED: Final = "the exchange refused it with an error, or never received it"


def order_records(
    reader: Reader, trade_pair: str | None, since_us: int = -FOREVER, until_us: int = FOREVER
) -> Iterator[OrderRecord]:
    """The orders that began in a range of time: first those that have ended, in that order, then the open ones."""
    reader.refresh()
    for order in _Orders(reader, since_us, until_us).all():
        if trade_pair in (None, order.trade_pair):
            yield order.record()


class _Orders:
    """The orders that have not ended yet, while the events are read."""

    def __init__(self, reader: Reader, since_us: int, until_us: int) -> None:
        self._reader = reader
        self._since_us = since_us
        self._until_us = until_us
        self._open: dict[int, OrderBuilding] = {}
        self._sent: deque[SentOrder] = deque()  # settled, in order of the events that settled them
        self._over_from = FOREVER  # the transaction from which on no order of the range can begin

    def all(self) -> Iterator[OrderBuilding]:
        """Each order of the range."""
        reader, last = self._reader, self._reader.recorded_through()
        for fill in with_fees(self._entries(last)):
            yield from self._not_placed(fill.entry.transaction_id)
            if fill.entry.transaction_id >= self._over_from and not self._open:
                break
            order = self._apply(fill)
            if order is not None and order.ended_us is not None:
                self._open.pop(order.order_id or 0, None)
                yield order
        else:
            yield from self._not_placed(FOREVER)
        numbers = {order.client_order_id: order for order in self._open.values()}
        pending = []
        for sent in reader.unsettled_orders(last):
            known = numbers.get(sent.message.client_order_id)
            if known is not None and known.client_order_id is not None:
                known.be_sent(sent)
            elif self._is_in_range(sent.sent_us):
                pending.append(OrderBuilding.of(sent))
        yield from self._open.values()
        yield from pending

    def _entries(self, last: int) -> Iterator[Entry]:
        reader, before = self._reader, -FOREVER
        first = reader.first_since(self._since_us)
        if self._since_us != -FOREVER:
            # What an error refused was settled by whatever event was the last one then.
            before = last if first is None else first - 1
            earlier = reader.settled_orders(-FOREVER, before, self._since_us)
            self._sent.extend(sent for sent in earlier if not self._was_answered(sent))
        groups = () if first is None else reader.groups_and_orders(after=first, through=last, settled_after=before)
        for group, settled in groups:
            self._sent.extend(settled)
            before = group.last
            if self._over_from == FOREVER and all(entry.time_us >= self._until_us for entry in group.entries):
                self._over_from = group.first
            yield from group.entries
        self._sent.extend(reader.settled_orders(before, last))

    def _was_answered(self, sent: SentOrder) -> bool:
        settled_by = sent.settled_by or 0
        entry = next(self._reader.entries(settled_by - 1), None)
        if entry is None or entry.transaction_id != settled_by:
            return False
        message = entry.message
        number = message.client_order_id if isinstance(message, OrderPlaced) else None
        return isinstance(message, InsufficientFunds) or number == sent.message.client_order_id

    def _is_in_range(self, time_us: int) -> bool:
        return self._since_us <= time_us < self._until_us

    def _not_placed(self, before: int) -> Iterator[OrderBuilding]:
        """The orders that were settled before the transaction *before*, by no event."""
        sent_before = self._sent
        while sent_before and (sent_before[0].settled_by or 0) < before:
            sent = sent_before.popleft()
            number = sent.message.client_order_id
            accepted = [order for order in self._open.values() if number in (None, order.client_order_id)]
            if not accepted and self._is_in_range(sent.sent_us):
                order = OrderBuilding.of(sent)
                order.refuse("not_placed", sent.sent_us, reason=_REFUSED)
                yield order

    def _answered_by(self, transaction_id: int, client_order_id: int | None) -> SentOrder | None:
        """The order that was sent and settled by this event; with a client order id, only one with the same."""
        for sent in self._sent:
            if sent.settled_by != transaction_id:
                break
            if client_order_id in (None, sent.message.client_order_id):
                self._sent.remove(sent)
                return sent
        return None

    def _sent_as(self, entry: Entry, message: OrderPlaced) -> SentOrder | None:
        number = message.client_order_id
        return None if number is None else self._answered_by(entry.transaction_id, number)

    def _apply(self, fill: Fill) -> OrderBuilding | None:
        entry, message = fill.entry, fill.entry.message
        if isinstance(message, InsufficientFunds):
            return self._reject(entry, message)
        order_id: int | None = getattr(message, "order_id", None)
        if order_id is None:
            return None
        order = self._open.get(order_id) or self._begin(entry, message)
        if order is None:
            return None
        if isinstance(message, OrderPlaced):
            sent = self._sent_as(entry, message)
            if sent is not None:
                order.be_sent(sent)
            order.place(entry, message)
        elif isinstance(message, OwnTrade):
            order.fill(entry, message, fill.change)
        elif isinstance(message, OrderAmountChanged):
            order.change("changed", entry, remaining=message.amount, fee=message.fee)
            order.add_fee(message.fee)
        elif isinstance(message, OrderCancelled):
            order.change("cancelled", entry)
            order.end("cancelled", entry.time_us)
        else:
            order.change("closed", entry)
            order.end("filled", entry.time_us)
        return order

    def _begin(self, entry: Entry, message: Any) -> OrderBuilding | None:
        """The order of the first event about it; ``None`` if it began outside the range."""
        # An order that began earlier is known only if everything is read.
        is_first = isinstance(message, OrderPlaced) or (isinstance(message, OwnTrade) and not message.maker)
        if not self._is_in_range(entry.time_us) or not (is_first or self._since_us == -FOREVER):
            if isinstance(message, OrderPlaced):
                self._sent_as(entry, message)
            return None
        if isinstance(message, OwnTrade):
            side = Side.BUY if message.bought else Side.SELL
        else:
            side = Side.BUY if type(message).__name__.startswith("Buy") else Side.SELL
        order = OrderBuilding(entry.time_us, message.trade_pair, side, message.client_order_id)
        order.order_id = message.order_id
        self._open[message.order_id] = order
        return order

    def _reject(self, entry: Entry, message: InsufficientFunds) -> OrderBuilding | None:
        # Without the message that was sent, nothing is known of the order but its number.
        sent = self._answered_by(entry.transaction_id, None)
        if sent is None or not self._is_in_range(entry.time_us):
            return None
        order = OrderBuilding.of(sent, entry.time_us)
        order.order_id = message.order_id
        order.refuse("rejected", entry.time_us, entry.transaction_id, reason=f"insufficient funds: {message.currency}")
        return order
