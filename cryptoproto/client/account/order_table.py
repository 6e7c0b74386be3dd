"""All orders of the client, updated by events and compared with the exchange's list."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final, Literal

import msgspec

from ...exceptions import ConfigurationError, DuplicateClientOrderId, OutcomeUnknown, RequestNotSent
from ...messages import (
    AsDict,
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderClosed,
    BuyOrderPlaced,
    OpenOrder,
    OrderAmountChanged,
    OrderCancelled,
    OrderClosed,
    OrderPlaced,
    OwnTrade,
    SellOrderAmountChanged,
    SellOrderCancelled,
    SellOrderClosed,
    SellOrderPlaced,
    Side,
    UserOrdersResponse,
)
from ...wire import ErrorType
from .order import Order, OrderStatus

__all__ = ["MAX_CLOSED", "OrderDifference", "OrderTable"]

MAX_CLOSED: Final = 1_000
"""How many closed orders are remembered. Ten thousand and their trades do not fit into a processor's cache, and cache
misses make each event 10 % slower."""

_MAX_TRADES: Final = 1_000
_ZERO: Final = Decimal(0)
_FREE: Final = frozenset((OrderStatus.REJECTED, OrderStatus.NOT_SENT))


class OrderDifference(AsDict, msgspec.Struct, frozen=True):
    """A difference between the exchange's list of open orders and the events.

    Attributes:
        order: the order, which has been corrected.
        what: ``"not_known_here"``: the order is open, but no event reported it; ``"not_open_here"``: it is open at the
            exchange, but was not open here; ``"not_open_there"``: it was open here, but is not open at the exchange;
            ``"remaining"``, ``"price"``: the number differs.
        here: the status or the number before the correction; ``None`` if there was none.
        there: the status or the number at the exchange.
    """

    order: Order
    what: Literal["not_known_here", "not_open_here", "not_open_there", "remaining", "price"]
    here: OrderStatus | Decimal | None
    there: OrderStatus | Decimal


class OrderTable:
    """All orders that have not ended, and the last *max_closed* that have.

    Each event takes constant time, and memory does not grow with the total number of orders.

    Args:
        max_closed: how many closed orders to remember; the oldest are forgotten first.
        clock: unix nanoseconds, for changes that no event reports.

    Attributes:
        compared: whether it was compared with the exchange's list, so that every open order is known.
        has_repeated_id: whether an order was placed with the order id of another one.
    """

    def __init__(self, *, max_closed: int = MAX_CLOSED, clock: Callable[[], int] = time.time_ns) -> None:
        if max_closed < 0:
            raise ConfigurationError(f"max_closed={max_closed} must be 0 or more")
        self._max_closed = max_closed
        self._clock = clock
        self._by_order_id: dict[int, Order] = {}
        self._by_client_order_id: dict[int, Order] = {}
        self._live: dict[Order, None] = {}
        self._closed: deque[Order] = deque()
        self.compared: bool = False
        self.has_repeated_id: bool = False
        self._trades: deque[OwnTrade] = deque(maxlen=_MAX_TRADES)

    def __len__(self) -> int:
        """How many orders are known, including closed ones."""
        return len(self._live) + len(self._closed)

    def __iter__(self) -> Iterator[Order]:
        """All known orders, closed ones first."""
        yield from self._closed
        yield from self._live

    def get(self, order_id: int) -> Order | None:
        """The order to which the exchange assigned *order_id*, if it is known."""
        return self._by_order_id.get(order_id)

    def by_client_order_id(self, client_order_id: int) -> Order | None:
        """The order that was placed with *client_order_id*, if it is known."""
        return self._by_client_order_id.get(client_order_id)

    @property
    def open(self) -> list[Order]:
        """The orders that the exchange has accepted and that have not ended, in order of id."""
        return sorted((order for order in self._live if order.is_open), key=lambda order: order.order_id or 0)

    def newest_open(self, count: int) -> set[int]:
        """The order ids of the latest *count* open orders."""
        is_open = (order.order_id for order in reversed(self._live) if order.is_open)
        return {order_id for order_id in islice(is_open, count) if order_id is not None}

    @property
    def unfinished(self) -> list[Order]:
        """The orders that have not ended: open ones, and sent ones whose outcome is not known."""
        return list(self._live)

    @property
    def trades(self) -> list[OwnTrade]:
        """The latest thousand fills of all orders, oldest first."""
        return list(self._trades)

    def __repr__(self) -> str:
        open_orders = sum(order.is_open for order in self._live)
        return f"<OrderTable: {open_orders} open, {len(self)} known>"

    # Changes by the client

    def add(self, order: Order) -> None:
        """Add an order that is about to be sent.

        Raises:
            DuplicateClientOrderId: another known order has used its client order id. Orders that were not sent, or
                were rejected by an error message, do not use up their id.
        """
        client_order_id = order.client_order_id
        if client_order_id is not None:
            if client_order_id in self._by_client_order_id:
                self.check_unused(order)
            self._by_client_order_id[client_order_id] = order
        self._live[order] = None

    def check_unused(self, order: Order) -> None:
        """Check that no other known order has used the client order id of *order*; raises as :meth:`add`."""
        client_order_id = order.client_order_id
        known = None if client_order_id is None else self._by_client_order_id.get(client_order_id)
        if known is None or known is order or (known.status in _FREE and known.order_id is None):
            return
        raise DuplicateClientOrderId(
            ErrorType.DUPLICATE_CLIENT_ORDER_ID,
            f"client order id {client_order_id} was used before, by {known!r}; nothing was sent",
        )

    def withdraw(self, order: Order) -> None:
        """Remove an order that was added but could not be sent."""
        self._live.pop(order, None)
        self._forget(order)

    def reject(self, order: Order, error: Exception, *, order_id: int | None = None) -> None:
        """The exchange rejected *order*. Ignored if an event has reported that it was accepted.

        Args:
            order: an order that was added.
            error: why; raised to callers that wait for the acknowledgement.
            order_id: the id that the exchange assigned to it, according to InsufficientFunds.
        """
        if order.acknowledged_ns is None:
            if order_id is not None:
                self._name(order, order_id)
            order.error = error
            self._close(order, OrderStatus.REJECTED, self._clock())

    def mark_not_sent(self, order: Order, error: Exception | None = None) -> None:
        """*order* certainly never reached the exchange. Ignored if it is open there, has ended, or was never added."""
        if order.acknowledged_ns is None and order in self._live:
            order.error = error or RequestNotSent(f"{order!r} never reached the exchange")
            self._close(order, OrderStatus.NOT_SENT, self._clock())

    def mark_unknown(self, order: Order, error: Exception | None = None) -> None:
        """It is not known by the deadline whether *order* reached the exchange. Ignored once it is known."""
        if order.status is OrderStatus.PENDING:
            order.error = error or OutcomeUnknown(f"whether {order!r} reached the exchange is not known yet")
            order.status = OrderStatus.UNKNOWN
            order.wake()

    def end_unknown(self, order: Order, error: Exception) -> None:
        """*order* is not open at the exchange, and nobody will ever know what became of it."""
        order.error = error
        self._close(order, OrderStatus.UNKNOWN, self._clock())

    def end(self, error: Exception) -> None:
        """No more events come, because the client is closed. Waits for an order raise a copy of *error*."""
        for order in list(self._live):
            order.end(error)

    # Changes by events

    def handlers(self) -> dict[type[Any], Callable[[Any, int, int], None]]:
        """The handler of each message; an :class:`~cryptoproto.client.account.Account` passes each event on once.

        Trades also change balances, so the account calls :meth:`on_trade` itself.
        """
        return {
            **dict.fromkeys((BuyOrderPlaced, SellOrderPlaced), self._on_placed),
            **dict.fromkeys((BuyOrderAmountChanged, SellOrderAmountChanged), self._on_amount_changed),
            **dict.fromkeys((BuyOrderCancelled, SellOrderCancelled), self._on_cancelled),
            **dict.fromkeys((BuyOrderClosed, SellOrderClosed), self._on_closed),
        }

    # Each of these runs for every event of its kind. They look the order up inline, because a call would double their
    # cost, and call _identify() only for an order id that is new.

    def on_trade(self, message: OwnTrade, transaction_id: int, now_ns: int) -> None:
        """A fill: a taker's comes before the event that reports the placement, a maker's after it."""
        order = self._by_order_id.get(message.order_id)
        if order is None:
            order = self._identify(message, message.trade_pair, Side.BUY if message.bought else Side.SELL, now_ns)
        order.changed_by = transaction_id
        order.add_trade(message)
        self._trades.append(message)
        if message.maker and order.acknowledged_ns is None:  # it rests in the book, so it was accepted
            self._acknowledge(order, now_ns)

    def _on_placed(self, message: OrderPlaced, transaction_id: int, now_ns: int) -> None:
        order = self._by_order_id.get(message.order_id)
        if order is None:
            order = self._identify(message, message.trade_pair, _SIDES[type(message)], now_ns)
        elif message.client_order_id is not None and order.client_order_id not in (None, message.client_order_id):
            self.has_repeated_id = True
        order.changed_by = transaction_id
        order.amount = message.initial_amount
        order.price = message.price
        order.remaining = message.amount
        order.terms_known = True
        if order.acknowledged_ns is None:
            if order.status is OrderStatus.PENDING and not order.waiters:  # as _acknowledge(), without its call
                order.acknowledged_ns = now_ns
                order.status = OrderStatus.OPEN
            else:
                self._acknowledge(order, now_ns)
        if message.closed_inline:
            self._close(order, OrderStatus.FILLED, now_ns)

    def _on_amount_changed(self, message: OrderAmountChanged, transaction_id: int, now_ns: int) -> None:
        order = self._by_order_id.get(message.order_id)
        if order is None:
            order = self._identify(message, message.trade_pair, _SIDES[type(message)], now_ns)
        order.changed_by = transaction_id
        order.remaining = message.amount
        if not order.terms_known:
            order.set_remaining(message.amount)
        if message.fee:
            order.add_fee(message.fee)

    def _on_cancelled(self, message: OrderCancelled, transaction_id: int, now_ns: int) -> None:
        order = self._by_order_id.get(message.order_id)
        if order is None:
            order = self._identify(message, message.trade_pair, _SIDES[type(message)], now_ns)
        order.changed_by = transaction_id
        if order.acknowledged_ns is None:
            self._acknowledge(order, now_ns)
        self._close(order, OrderStatus.CANCELLED, now_ns)

    def _on_closed(self, message: OrderClosed, transaction_id: int, now_ns: int) -> None:
        order = self._by_order_id.get(message.order_id)
        if order is None:
            order = self._identify(message, message.trade_pair, _SIDES[type(message)], now_ns)
        order.changed_by = transaction_id
        order.remaining = _ZERO
        if not order.terms_known:
            order.set_remaining(_ZERO)
        if order.acknowledged_ns is None:
            self._acknowledge(order, now_ns)
        self._close(order, OrderStatus.FILLED, now_ns)

    def _identify(self, message: Any, trade_pair: str, side: Side, now_ns: int) -> Order:
        """The order with an order id that is new, found by its client order id, or else created."""
        order_id, client_order_id = message.order_id, message.client_order_id
        if client_order_id is not None:
            order = self._by_client_order_id.get(client_order_id)
            # The other terms are compared because somebody else may have used the same number before, in which case
            # the exchange will reject our order.
            if order is not None and order.trade_pair == trade_pair and order.side is side:
                if order.order_id is None:
                    order.order_id = order_id
                    self._by_order_id[order_id] = order
                else:
                    self._name(order, order_id)
                return order
        order = Order.elsewhere(order_id, trade_pair, side, client_order_id, created_ns=now_ns)
        self._by_order_id[order_id] = order
        if client_order_id is not None:
            self._by_client_order_id.setdefault(client_order_id, order)
        self._live[order] = None
        return order

    def _name(self, order: Order, order_id: int) -> None:
        if order.order_id is not None and self._by_order_id.get(order.order_id) is order:
            del self._by_order_id[order.order_id]
        order.order_id = order_id
        self._by_order_id[order_id] = order

    def _acknowledge(self, order: Order, now_ns: int) -> None:
        """The exchange has accepted *order*, whatever its status was."""
        order.acknowledged_ns = now_ns
        self._reopen(order)

    def _reopen(self, order: Order) -> None:
        if order.closed_ns is not None:
            order.closed_ns = None
            self._closed.remove(order)
            self._live[order] = None
        order.status = OrderStatus.OPEN
        order.error = None
        order.wake()

    def _close(self, order: Order, status: OrderStatus, now_ns: int) -> None:
        order.status = status
        if status is OrderStatus.FILLED or status is OrderStatus.CANCELLED:
            order.error = None
        if order.closed_ns is None:
            order.closed_ns = now_ns
            self._live.pop(order, None)
            self._closed.append(order)
            if len(self._closed) > self._max_closed:
                self._forget(self._closed.popleft())
        if order.waiters:
            order.wake()

    def _forget(self, order: Order) -> None:
        if order.order_id is not None and self._by_order_id.get(order.order_id) is order:
            del self._by_order_id[order.order_id]
        if order.client_order_id is not None and self._by_client_order_id.get(order.client_order_id) is order:
            del self._by_client_order_id[order.client_order_id]

    # Changes by the exchange's list

    def adopt(self, response: UserOrdersResponse, *, whole: bool = True) -> list[OrderDifference]:
        """Compare with the exchange's list of open orders, return the differences, and adopt the list.

        An order that still waits for its answer and is not in the list is left as it is: its outcome is decided
        elsewhere.

        Args:
            response: the list. All events before it must have been applied, and none after it.
            whole: whether every event since the account was opened was applied. If not, orders in the first list that
                are not known here are not reported as differences.
        """
        differences: list[OrderDifference] = []
        expected, self.compared = whole or self.compared, True
        listed: set[Order] = set()
        for trade_pair, book in response.order_books.items():
            for side, rows in ((Side.BUY, book.buy), (Side.SELL, book.sell)):
                for row in rows:
                    listed.add(self._adopt_one(row, trade_pair, side, differences))
        for order in [order for order in self._live if order.is_open and order not in listed]:
            order.error = OutcomeUnknown(f"{order!r} is no longer open, and no event reported how it ended")
            self._close(order, OrderStatus.UNKNOWN, self._clock())
            differences.append(OrderDifference(order, "not_open_there", OrderStatus.OPEN, OrderStatus.UNKNOWN))
        return [each for each in differences if expected or each.what != "not_known_here"]

    def _adopt_one(self, row: OpenOrder, trade_pair: str, side: Side, differences: list[OrderDifference]) -> Order:
        order = self._by_order_id.get(row.order_id)
        if order is None:
            known = len(self)
            order = self._identify(row, trade_pair, side, self._clock())
            if len(self) > known:
                order.price, order.terms_known = row.price, True
                order.amount = order.remaining = row.amount
                differences.append(OrderDifference(order, "not_known_here", None, OrderStatus.OPEN))
                return order
        if not order.is_open:
            differences.append(OrderDifference(order, "not_open_here", order.status, OrderStatus.OPEN))
            order.acknowledged_ns = order.acknowledged_ns or self._clock()
            self._reopen(order)
        if not order.terms_known:
            order.price, order.terms_known = row.price, True
        elif order.price != row.price:
            differences.append(OrderDifference(order, "price", order.price, row.price))
            order.price = row.price
        if order.remaining != row.amount:
            differences.append(OrderDifference(order, "remaining", order.remaining, row.amount))
            order.set_remaining(row.amount)
        return order


_SIDES: Final[dict[type[Any], Side]] = {
    **dict.fromkeys((BuyOrderPlaced, BuyOrderAmountChanged, BuyOrderCancelled, BuyOrderClosed), Side.BUY),
    **dict.fromkeys((SellOrderPlaced, SellOrderAmountChanged, SellOrderCancelled, SellOrderClosed), Side.SELL),
}
