"""Looks at a client and makes snapshots, cheaply enough to do so several times a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

from ..client import Client, Order, OrderStatus, StateChange
from ..market_data import MarketData
from ..messages import OwnTrade
from ..version import __version__
from .latencies import latency_rows
from .plain_rows import Row, balance_rows, fill_row, order_row, state_row, throttling_row
from .positions import FillTotals, position_rows
from .snapshot import Snapshot

__all__ = ["Observer"]

_FILLS_SHOWN: Final = 100
_STATES_KEPT: Final = 100
_UNSETTLED: Final = (OrderStatus.PENDING, OrderStatus.UNKNOWN)
_Shown: TypeAlias = tuple[Decimal, Decimal, Decimal, Row]
"""What an order had left, its price and its amount when its row was made, and the row."""


class Observer:
    """Reads the public attributes of a client. It adds nothing to the path of events: all work is done by a look.

    Fills are collected from the orders that the client remembers, which are all open ones and the last thousand closed
    ones. If more than a thousand orders end between two looks, the fills of the others are missing.

    Args:
        client: the client.
        feed: the books that positions are compared with.
        allow_cancel: shown in the snapshot, so that a reader knows whether it can cancel orders.
        clock: unix seconds.
    """

    def __init__(
        self,
        client: Client,
        feed: MarketData | None = None,
        *,
        allow_cancel: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._feed = feed
        self._clock = clock
        self._states: deque[Row] = deque(maxlen=_STATES_KEPT)
        self._rows: dict[Order, _Shown] = {}
        self._counted: dict[Order, int] = {}
        self._fills: list[Row] = []
        self._totals: dict[str, FillTotals] = {}
        self._fixed: dict[str, Any] = {
            "version": __version__,
            "client_id": client.client_id,
            "watched_since": clock(),
            "allow_cancel": allow_cancel,
        }

    def note_state(self, change: StateChange) -> None:
        """The client has entered a state."""
        self._states.append(state_row(change, self._clock()))

    def look(self) -> Snapshot:
        """The client as it is now."""
        client = self._client
        self._collect_fills()
        open_orders = client.orders.open
        metrics = client.metrics()
        balances = client.known_balances
        state = client.state
        sections: dict[str, Any] = {
            **self._fixed,
            "state": state.state.value,
            "reason": state.reason,
            "position": client.position,
            "states": list(self._states),
            "balances": balance_rows(balances),
            "positions": position_rows(open_orders, self._totals, balances, self._feed),
            "unsettled_orders": [order_row(order) for order in client.orders.unfinished if order.status in _UNSETTLED],
            "fills": self._fills,
            "latencies": latency_rows(metrics.histograms),
            "throttling": throttling_row(metrics),
            "counters": metrics.counters,
            "gauges": metrics.gauges,
        }
        return Snapshot(self._clock(), self._order_rows(open_orders), sections)

    def _order_rows(self, orders: list[Order]) -> dict[int, Row]:
        """The rows of the open orders; those of orders that have not changed are kept, which is most of the speed."""
        before, kept = self._rows, {}
        rows: dict[int, Row] = {}
        for order in orders:
            shown = before.get(order)
            # A changed number is a new object, and the old one is kept alive here, so identity is enough.
            if (
                shown is None
                or shown[0] is not order.remaining
                or shown[1] is not order.price
                or shown[2] is not order.amount
            ):
                shown = (order.remaining, order.price, order.amount, order_row(order))
            kept[order] = shown
            if order.order_id is not None:
                rows[order.order_id] = shown[3]
        self._rows = kept
        return rows

    def _collect_fills(self) -> None:
        """Take the fills that are new since the last look."""
        new: list[OwnTrade] = []
        counted: dict[Order, int] = {}
        for order in self._client.orders:
            trades = order.trades
            if trades:
                new += trades[self._counted.get(order, 0) :]
                counted[order] = len(trades)
        self._counted = counted
        if new:
            new.sort(key=lambda trade: trade.time)
            for trade in new:
                self._totals.setdefault(trade.trade_pair, FillTotals()).add(trade)
            self._fills = (self._fills + [fill_row(trade) for trade in new[-_FILLS_SHOWN:]])[-_FILLS_SHOWN:]
