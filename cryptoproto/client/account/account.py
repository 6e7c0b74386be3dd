"""A client's orders and balances, updated by its events."""

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
"""Applies a message; also receives the transaction id of its event and when it was read, in unix nanoseconds."""


class Account:
    """The order table and the balance table of one client, fed by the same events.

    Args:
        max_closed: how many closed orders to remember; the oldest are forgotten first.
        clock: unix nanoseconds, for changes that no event reports.

    Attributes:
        orders: all orders that have not ended, and the latest that have.
        balances: what is available and what is on hold.
        position: the transaction id of the last event that was applied, -1 before the first.
        heard: how many events were received, including replays.
        broadcasts: how many broadcasts were received.
    """

    __slots__ = ("_handlers", "balances", "broadcasts", "heard", "orders", "position")

    def __init__(self, *, max_closed: int = MAX_CLOSED, clock: Callable[[], int] = time.time_ns) -> None:
        self.orders: OrderTable = OrderTable(max_closed=max_closed, clock=clock)
        self.balances: BalanceTable = BalanceTable()
        self.position: int = -1
        self.heard: int = 0
        self.broadcasts: int = 0
        self._handlers = _Handlers(self.orders.handlers())
        self._handlers.update(self.balances.handlers())
        self._handlers[OwnTrade] = self._on_trade

    def apply(self, events: list[Event]) -> None:
        """Apply the events of one read, in order of transaction id. Broadcasts change nothing here.

        Events whose transaction id is not higher than the last one are ignored, so replays are harmless. It takes a
        list, because a call for each event would double the cost.
        """
        position, handlers = self.position, self._handlers
        broadcasts = 0
        for event in events:
            transaction_id = event.transaction_id
            if transaction_id is None:
                broadcasts += 1
            elif transaction_id > position:
                position = transaction_id
                message = event.message
                handlers[type(message)](message, transaction_id, event.received_ns)
        self.position = position
        self.broadcasts += broadcasts
        self.heard += len(events) - broadcasts

    def _on_trade(self, message: OwnTrade, transaction_id: int, received_ns: int) -> None:
        self.orders.on_trade(message, transaction_id, received_ns)
        self.balances.on_trade(message)


class _Handlers(dict[type[Any], Handler]):
    """The handler of each type of message. Other types are added on first use, so no lookup fails."""

    def __missing__(self, kind: type[Any]) -> Handler:
        self[kind] = _ignore
        return _ignore


def _ignore(_message: Any, _transaction_id: int, _received_ns: int) -> None:
    """For messages that change neither orders nor balances."""
