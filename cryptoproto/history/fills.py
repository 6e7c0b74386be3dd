"""Fills with their fees: the exchange reports a fill in two events, and only the second one has the fee."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Decimal

import msgspec

from ..messages import OrderAmountChanged, OwnTrade, Side
from .reader import Entry
from .records import TradeRecord
from .time_range import from_microseconds

__all__ = ["Fill", "trade_record", "with_fees"]

_LOOKAHEAD = 64
"""After how many more events a fill is passed on without a fee. The exchange of this package needs one."""


class Fill(msgspec.Struct):
    """An event; if it is a trade, with the change of amount that belongs to it, once that is known."""

    entry: Entry
    change: OrderAmountChanged | None = None


def with_fees(entries: Iterable[Entry]) -> Iterator[Fill]:
    """The *entries* in their order, each change of amount joined to the trade of the same order before it."""
    queue: deque[Fill] = deque()
    waiting: dict[int, Fill] = {}  # trades without their change, by order id
    for entry in entries:
        message = entry.message
        order_id: int | None = getattr(message, "order_id", None)
        before = None if order_id is None else waiting.pop(order_id, None)
        if before is not None and isinstance(message, OrderAmountChanged):
            before.change = message
        else:
            fill = Fill(entry)
            queue.append(fill)
            if isinstance(message, OwnTrade):
                waiting[message.order_id] = fill
        while queue and (not waiting or len(queue) > _LOOKAHEAD or not _waits(queue[0], waiting)):
            fill = queue.popleft()
            if _waits(fill, waiting):
                del waiting[fill.entry.message.order_id]
            yield fill
    yield from queue


def _waits(fill: Fill, waiting: dict[int, Fill]) -> bool:
    message = fill.entry.message
    return isinstance(message, OwnTrade) and waiting.get(message.order_id) is fill


def trade_record(fill: Fill) -> TradeRecord:
    """The record of *fill*, whose event is a trade."""
    entry, change = fill.entry, fill.change
    trade: OwnTrade = entry.message
    base, _, quote = trade.trade_pair.partition("_")
    fee: Decimal | None = None if change is None else change.fee
    return TradeRecord(
        transaction_id=entry.transaction_id,
        time=from_microseconds(entry.time_us),
        trade_pair=trade.trade_pair,
        side=Side.BUY if trade.bought else Side.SELL,
        amount=trade.amount,
        price=trade.price,
        fee=fee,
        fee_currency=base if trade.bought else quote,
        maker=trade.maker,
        order_id=trade.order_id,
        client_order_id=trade.client_order_id,
    )
