"""The tables of a strategy: its own orders, and the balances of the whole client id."""

from __future__ import annotations

from typing import Any

from ...client.account import Account, BalanceDifference, OrderDifference
from ...client.account.balances import BalanceTable
from ...connection import Event
from ...messages import OpenOrder, OpenOrders, Side, UserBalanceResponse, UserOrdersResponse
from ..calls import Snapshot
from ..strategy_ids import strategy_number

__all__ = ["StrategyAccount"]


class StrategyAccount:
    """Passes on to an :class:`~cryptoproto.client.account.Account` what concerns this strategy.

    Args:
        sees_all: whether the orders of all strategies concern it.

    Attributes:
        account: the tables.
        number: of the strategy; 0 until it is known.
    """

    def __init__(self, *, sees_all: bool) -> None:
        self.account: Account = Account()
        self.number: int = 0
        self._sees_all = sees_all

    @property
    def balances(self) -> BalanceTable:
        """The balances of the client id."""
        return self.account.balances

    @property
    def position(self) -> int:
        """The last transaction that concerned this strategy."""
        return self.account.position

    def concerns(self, event: Event) -> bool:
        """Whether *event* is about an order of this strategy, or about no order at all."""
        message: Any = event.message
        order_id = getattr(message, "order_id", None)
        if self._sees_all or order_id is None:
            return True
        number = getattr(message, "client_order_id", None)
        if number is not None:
            return strategy_number(number) == self.number
        return self.account.orders.get(order_id) is not None

    def apply(self, events: list[Event]) -> None:
        """See :meth:`Account.apply <cryptoproto.client.account.Account.apply>`."""
        self.account.apply([event for event in events if self.concerns(event)])

    def adopt(self, snapshot: Snapshot, *, whole: bool, asked_ns: int) -> list[OrderDifference | BalanceDifference]:
        """Compare with the owner's tables, and adopt these; returns the differences.

        Args:
            snapshot: the owner's tables. All events before it were applied, and none after it.
            whole: see :meth:`OrderTable.adopt`.
            asked_ns: when the owner was asked for it. An order that was accepted by a reply since then, and not by an
                event yet, is perhaps newer than the snapshot, and left as it is.
        """
        books = snapshot.order_books if self._sees_all else self._own(snapshot.order_books)
        listed = {row.order_id for book in books.values() for row in (*book.buy, *book.sell)}
        for order in self.account.orders.open:
            is_newer = order.changed_by < 0 and (order.acknowledged_ns or 0) >= asked_ns
            if is_newer and order.order_id is not None and order.order_id not in listed:
                book = books.setdefault(order.trade_pair, OpenOrders([], []))
                row = OpenOrder(order.order_id, order.remaining, order.price, order.client_order_id)
                (book.buy if order.side is Side.BUY else book.sell).append(row)
        orders = self.account.orders.adopt(UserOrdersResponse(order_books=books), whole=whole)
        balances = self.account.balances.adopt(UserBalanceResponse(account_id=0, balances=snapshot.balances))
        return [*orders, *balances]

    def _own(self, books: dict[str, OpenOrders]) -> dict[str, OpenOrders]:
        return {
            pair: OpenOrders(
                [row for row in book.buy if strategy_number(row.client_order_id) == self.number],
                [row for row in book.sell if strategy_number(row.client_order_id) == self.number],
            )
            for pair, book in books.items()
        }
