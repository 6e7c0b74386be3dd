"""What events tell of a client's orders and balances: each event taken in once, and handed to who it is for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeAlias

from ...connection.event import Event
from ...messages import OwnTrade
from .balances import BalanceTable
from .order_table import MAX_CLOSED, OrderTable

__all__ = ["Account"]

Handler: TypeAlias = Callable[[Any, int, int], None]
"""Takes in a message, with the transaction id of its event and the unix nanoseconds at which that was read."""


class Account:
    """The order table and the balance table of one client, fed by the same events.

    Args:
        max_closed: how many closed orders to remember; the oldest are forgotten first.
        clock: unix nanoseconds, for what becomes known by other means than events.

    Attributes:
        orders: every order that is not at its end, and the latest of those that are.
        balances: what is available and what is on hold.
        position: the transaction id of the last event that was taken in, -1 before the first.
        heard: how many events were taken in, replays included.
        broadcasts: how many broadcasts came between them.
    """

    __slots__ = ("_take_in", "balances", "broadcasts", "heard", "orders", "position")

    def __init__(self, *, max_closed: int = MAX_CLOSED, clock: Callable[[], int] = time.time_ns) -> None:
        self.orders = OrderTable(max_closed=max_closed, clock=clock)
        self.balances = BalanceTable()
        self.position = -1
        self.heard = 0
        self.broadcasts = 0
        self._take_in = _Handlers(self.orders.handlers())
        self._take_in.update(self.balances.handlers())
        self._take_in[OwnTrade] = self._on_trade

    def apply(self, events: list[Event]) -> None:
        """Take in what one read has brought, in order of transaction id. Broadcasts change nothing here.

        An event whose transaction id is not higher than the last one is ignored, so replays do no harm. One call takes
        many, because a call for each event would cost as much as the work itself.
        """
        position, take_in = self.position, self._take_in
        broadcasts = 0
        for event in events:
            transaction_id = event.transaction_id
            if transaction_id is None:
                broadcasts += 1
            elif transaction_id > position:
                position = transaction_id
                message = event.message
                take_in[type(message)](message, transaction_id, event.received_ns)
        self.position = position
        self.broadcasts += broadcasts
        self.heard += len(events) - broadcasts

    def _on_trade(self, message: OwnTrade, transaction_id: int, received_ns: int) -> None:
        self.orders.on_trade(message, transaction_id, received_ns)
        self.balances.on_trade(message)


class _Handlers(dict[type[Any], Handler]):
    """Who takes in which type of message. One look finds everybody whom it is for: this is done for every event."""

    def __missing__(self, kind: type[Any]) -> Handler:
        self[kind] = _not_for_us
        return _not_for_us


def _not_for_us(_message: Any, _transaction_id: int, _received_ns: int) -> None:
    """Messages that change neither orders nor balances."""
