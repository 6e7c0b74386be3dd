"""All orders of the client, kept by events alone and compared with the exchange's own list."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from ...exceptions import ConfigurationError, DuplicateClientOrderId, OutcomeUnknown, RequestNotSent
from ...messages import (
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
    UserOrdersResponse,
)
from ...wire import ErrorType
from .order import Order, OrderStatus, Side

__all__ = ["MAX_CLOSED", "OrderDifference", "OrderTable"]

MAX_CLOSED: Final = 1_000
"""How many closed orders are remembered. Ten thousand and their trades do not fit into a processor's cache, of which
each event takes notice: it costs a tenth more."""

_ZERO: Final = Decimal(0)
_FREE: Final = frozenset((OrderStatus.REJECTED, OrderStatus.NOT_SENT))


class OrderDifference(msgspec.Struct, frozen=True):
    """Something that the exchange's list of open orders says otherwise than the events did.

    Attributes:
        order: the order, which has been corrected.
        what: ``"not_known_here"``: it is open, and no event had told of it;
            ``"not_open_here"``: it is open, and was not here; ``"not_open_there"``: it was open here, and no longer
            is; ``"remaining"``, ``"price"``: another number.
        here: the status or the number before the correction; ``None`` where there was none.
        there: what the exchange says.
    """

    order: Order
    what: Literal["not_known_here", "not_open_here", "not_open_there", "remaining", "price"]
    here: OrderStatus | Decimal | None
    there: OrderStatus | Decimal


class OrderTable:
    """Every order that is not at its end, and the last *max_closed* that are.

    Constant time for each event, and no memory that grows with the number of orders that there ever were.

    Args:
        max_closed: how many closed orders to remember; the oldest are forgotten first.
        clock: unix nanoseconds, for the times at which things became known here.
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
        self._compared = False

    def __len__(self) -> int:
        """How many orders are known, closed ones included."""
        return len(self._live) + len(self._closed)

    def __iter__(self) -> Iterator[Order]:
        """Every order that is known: closed ones first."""
        yield from self._closed
        yield from self._live

    def get(self, order_id: int) -> Order | None:
        """The order with the exchange's number *order_id*, if it is known."""
        return self._by_order_id.get(order_id)

    def by_client_order_id(self, client_order_id: int) -> Order | None:
        """The order with the client's own number *client_order_id*, if it is known."""
        return self._by_client_order_id.get(client_order_id)

    def open_orders(self) -> list[Order]:
        """The orders that the exchange has accepted and that are not at their end, in order of id."""
        return sorted((order for order in self._live if order.is_open), key=lambda order: order.order_id or 0)

    # What the client does

    def add(self, order: Order) -> None:
        """Take up an order that is about to be sent.

        Raises:
            DuplicateClientOrderId: another order that is known has used its client order id. One that was refused
                with an error, or not sent, has not.
        """
        client_order_id = order.client_order_id
        if client_order_id is not None:
            known = self._by_client_order_id.get(client_order_id)
            is_used = known is not None and (known.status not in _FREE or known.order_id is not None)
            if is_used and known is not order:
                raise DuplicateClientOrderId(
                    ErrorType.DUPLICATE_CLIENT_ORDER_ID,
                    f"client order id {client_order_id} was used before, by {known!r}; nothing was sent",
                )
            self._by_client_order_id[client_order_id] = order
        self._live[order] = None

    def withdraw(self, order: Order) -> None:
        """Forget an order that was added and could not be sent after all."""
        self._live.pop(order, None)
        self._forget(order)

    def reject(self, order: Order, error: Exception, *, order_id: int | None = None) -> None:
        """The exchange refused *order*. Without effect where an event has told that it was accepted.

        Args:
            order: one that was added.
            error: why; what waits for the order's acknowledgement gets it.
            order_id: the id that InsufficientFunds says the order got.
        """
        if order.acknowledged_ns is None:
            if order_id is not None:
                self._name(order, order_id)
            order.error = error
            self._close(order, OrderStatus.REJECTED, self._clock())

    def mark_not_sent(self, order: Order, error: Exception | None = None) -> None:
        """*order* never reached the exchange, for certain; without effect where an event has told otherwise."""
        if order.acknowledged_ns is None:
            order.error = error or RequestNotSent(f"{order!r} never reached the exchange")
            self._close(order, OrderStatus.NOT_SENT, self._clock())

    def mark_unknown(self, order: Order, error: Exception | None = None) -> None:
        """Whether *order* reached the exchange is not known by its deadline; without effect once it is."""
        if order.status is OrderStatus.PENDING:
            order.error = error or OutcomeUnknown(f"whether {order!r} reached the exchange is not known yet")
            order.status = OrderStatus.UNKNOWN
            order.wake()

    def end(self, error: Exception) -> None:
        """No more events come, because the client is closed: those who wait for an order get a copy of *error*."""
        for order in list(self._live):
            order.end(error)

    # What events do

    def handlers(self) -> dict[type[Any], Callable[[Any, int, int], None]]:
        """Who takes in what; an :class:`~cryptoproto.client.account.Account` sees to it that each event comes once.

        Trades are not among them: they are for the balances, too, and come to :meth:`on_trade`.
        """
        return {
            **dict.fromkeys((BuyOrderPlaced, SellOrderPlaced), self._on_placed),
            **dict.fromkeys((BuyOrderAmountChanged, SellOrderAmountChanged), self._on_amount_changed),
            **dict.fromkeys((BuyOrderCancelled, SellOrderCancelled), self._on_cancelled),
            **dict.fromkeys((BuyOrderClosed, SellOrderClosed), self._on_closed),
        }

    # Each of these runs for every event of its kind: the order is looked up in place, because a call costs as much as
    # the rest, and only what is not known by the exchange's number is searched for.

    def on_trade(self, message: OwnTrade, transaction_id: int, now_ns: int) -> None:
        """A fill: of a taker before the order's placement is told, of a maker after."""
        order = self._by_order_id.get(message.order_id)
        if order is None:
            order = self._identify(message, message.trade_pair, Side.BUY if message.bought else Side.SELL, now_ns)
        order.changed_by = transaction_id
        order.add_trade(message)
        if message.maker and order.acknowledged_ns is None:  # it rests in the book, so it was accepted
            self._acknowledge(order, now_ns)

    def _on_placed(self, message: OrderPlaced, transaction_id: int, now_ns: int) -> None:
        order = self._by_order_id.get(message.order_id)
        if order is None:
            order = self._identify(message, message.trade_pair, _SIDES[type(message)], now_ns)
        order.changed_by = transaction_id
        order.amount = message.initial_amount
        order.price = message.price
        order.remaining = message.amount
        order.terms_known = True
        if order.acknowledged_ns is None:
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

    def _identify(self, told: Any, trade_pair: str, side: Side, now_ns: int) -> Order:
        """The order with an id that is new here, by the client's own number; another one where there is none."""
        order_id, client_order_id = told.order_id, told.client_order_id
        if client_order_id is not None:
            order = self._by_client_order_id.get(client_order_id)
            # The rest of the terms is looked at because the number may be one that somebody else has used before, and
            # our order the one to be refused for it.
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
        """The exchange has accepted *order*, whatever was thought of it here."""
        order.acknowledged_ns = now_ns
        if order.closed_ns is not None or order.waiters or order.error is not None:
            self._reopen(order)
        else:
            order.status = OrderStatus.OPEN

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

    # What the exchange's list does

    def adopt(self, response: UserOrdersResponse, *, whole: bool = True) -> list[OrderDifference]:
        """Compare with the exchange's list of open orders, report what differs, and take the list over.

        An order that waits for its answer and is not in the list is left alone: how it ended is told otherwise.

        Args:
            response: the list. All events that came before it must have been taken in, and none that came behind.
            whole: whether every event since the account was opened was taken in. If not, what the first list tells of
                orders that are not known here is no difference but news.
        """
        differences: list[OrderDifference] = []
        expected, self._compared = whole or self._compared, True
        listed: set[Order] = set()
        for trade_pair, book in response.order_books.items():
            for side, rows in ((Side.BUY, book.buy), (Side.SELL, book.sell)):
                for row in rows:
                    listed.add(self._adopt_one(row, trade_pair, side, differences))
        for order in [order for order in self._live if order.is_open and order not in listed]:
            order.error = OutcomeUnknown(f"{order!r} is no longer open, and nothing told how it ended")
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
    BuyOrderPlaced: Side.BUY,
    SellOrderPlaced: Side.SELL,
    BuyOrderAmountChanged: Side.BUY,
    SellOrderAmountChanged: Side.SELL,
    BuyOrderCancelled: Side.BUY,
    SellOrderCancelled: Side.SELL,
    BuyOrderClosed: Side.BUY,
    SellOrderClosed: Side.SELL,
}
