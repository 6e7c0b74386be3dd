"""Looks at a client and makes snapshots, cheaply enough to do so several times a second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

from ..client import Client, Order, OrderStatus, StateChange
from ..market_data import Feed
from ..messages import OwnTrade
from ..version import __version__
from .latencies import latency_rows
from .plain_rows import Row, balance_rows, fill_row, order_row, state_row, throttling_row
from .positions import FillTotals, position_rows
from .snapshot import Snapshot

__all__ = ["Observer"]

_FILLS_SHOWN: Final = 100
_STATES_KEPT: Final = 100
_Shown: TypeAlias = tuple[Decimal, Decimal, Decimal, Row]
"""What an order had left, its price and its amount when its row was made, and the row."""


class Observer:
    """Reads the public attributes of a client. It adds nothing to the path of events: all work is done by a look.

    Args:
        client: the client.
        feed: the books that positions are compared with.
        allow_cancel: shown in the snapshot, so that a reader knows whether it can cancel orders.
        clock: unix seconds.
    """

    def __init__(
        self,
        client: Client,
        feed: Feed | None = None,
        *,
        allow_cancel: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._feed = feed
        self._clock = clock
        self._states: deque[Row] = deque(maxlen=_STATES_KEPT)
        self._rows: dict[Order, _Shown] = {}
        self._newest: OwnTrade | None = None
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
        self._take_fills()
        unfinished = client.orders.unfinished
        open_orders = [order for order in unfinished if order.status is OrderStatus.OPEN]
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
            "unsettled_orders": [order_row(order) for order in unfinished if order.status is not OrderStatus.OPEN],
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
            if order.order_id is not None:  # pragma: no branch - the exchange has given every open order one
                rows[order.order_id] = shown[3]
        self._rows = kept
        return rows

    def _take_fills(self) -> None:
        """Make rows of the fills that are new since the last look, and add up all that the client remembers."""
        trades = self._client.orders.trades
        if not trades or trades[-1] is self._newest:
            return
        new: list[Row] = []
        for trade in reversed(trades):
            if trade is self._newest or len(new) == _FILLS_SHOWN:
                break
            new.append(fill_row(trade))
        self._newest = trades[-1]
        self._fills = (self._fills + new[::-1])[-_FILLS_SHOWN:]
        self._totals = {}
        for trade in trades:
            totals = self._totals.get(trade.trade_pair)
            if totals is None:
                totals = self._totals[trade.trade_pair] = FillTotals()
            totals.add(trade)
