"""Orders without ``await``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from ..client import Order as AsyncOrder
from ..client import OrderStatus
from ..client.account.order_table import OrderTable as AsyncOrderTable
from ..messages import AsDict, OwnTrade, Side, TimeInForce
from .loop_thread import LoopThread

__all__ = ["Order", "OrderDifference", "OrderTable"]

T = TypeVar("T")


class Order:
    """One order, with the attributes of :class:`cryptoproto.Order`. Two objects for the same order are equal."""

    __slots__ = ("_order", "_thread")

    def __init__(self, thread: LoopThread, order: AsyncOrder) -> None:
        self._thread = thread
        self._order = order

    @property
    def client_order_id(self) -> int | None:
        """The client's own number for the order."""
        return self._order.client_order_id

    @property
    def order_id(self) -> int | None:
        """The exchange's number for the order; ``None`` until it is known."""
        return self._order.order_id

    @property
    def trade_pair(self) -> str:
        """Base and quote currency, like ``"BTC_USD"``."""
        return self._order.trade_pair

    @property
    def side(self) -> Side:
        """Buy or sell."""
        return self._order.side

    @property
    def time_in_force(self) -> TimeInForce | None:
        """GTC, FOK or IOC; ``None`` if the order was not placed by this client."""
        return self._order.time_in_force

    @property
    def amount(self) -> Decimal:
        """The amount of the order, in the base currency."""
        return self._order.amount

    @property
    def price(self) -> Decimal:
        """The limit price."""
        return self._order.price

    @property
    def ttl(self) -> int:
        """Seconds until the exchange cancels the order; 0 = never."""
        return self._order.ttl

    @property
    def terms_known(self) -> bool:
        """Whether :attr:`amount` and :attr:`price` are known to be those of the order."""
        return self._order.terms_known

    @property
    def status(self) -> OrderStatus:
        """The status of the order."""
        return self._order.status

    @property
    def is_open(self) -> bool:
        """Whether the exchange has accepted the order and it is not closed."""
        return self._order.is_open

    @property
    def is_closed(self) -> bool:
        """Whether the order is closed: nothing more will happen to it."""
        return self._order.is_closed

    @property
    def remaining(self) -> Decimal:
        """The amount that is not filled."""
        return self._order.remaining

    @property
    def filled(self) -> Decimal:
        """The amount that is filled."""
        return self._order.filled

    @property
    def average_price(self) -> Decimal | None:
        """The average price of the trades; ``None`` before the first."""
        return self._now(lambda: self._order.average_price)

    @property
    def trades(self) -> list[OwnTrade]:
        """The trades of the order so far, oldest first."""
        return list(self._order.trades)

    @property
    def fees(self) -> Decimal:
        """The fees charged, in the currency received."""
        return self._order.fees

    @property
    def error(self) -> Exception | None:
        """Why the order was rejected or not sent, or that its outcome is unknown."""
        return self._order.error

    @property
    def created_ns(self) -> int:
        """When the order was created here, in unix nanoseconds."""
        return self._order.created_ns

    @property
    def acknowledged_ns(self) -> int | None:
        """When the order was accepted, in unix nanoseconds."""
        return self._order.acknowledged_ns

    @property
    def closed_ns(self) -> int | None:
        """When the order was closed, in unix nanoseconds."""
        return self._order.closed_ns

    @property
    def changed_by(self) -> int:
        """The transaction id of the last event about the order; -1 before the first."""
        return self._order.changed_by

    @property
    def replaces(self) -> int | None:
        """The client order id of the order that it was sent to replace."""
        return self._order.replaces

    @property
    def replaced_by(self) -> int | None:
        """The client order id of the order that was sent to replace it."""
        return self._order.replaced_by

    def as_dict(self) -> dict[str, Any]:
        """The attributes as plain values; see :meth:`cryptoproto.Order.as_dict`."""
        return self._now(self._order.as_dict)

    def wait_acknowledged(self, timeout: float | None = None) -> Order:
        """See :meth:`cryptoproto.Order.wait_acknowledged`."""
        self._thread.run(lambda: self._order.wait_acknowledged(timeout))
        return self

    def wait_filled(self, timeout: float | None = None) -> Order:
        """See :meth:`cryptoproto.Order.wait_filled`."""
        self._thread.run(lambda: self._order.wait_filled(timeout))
        return self

    def wait_closed(self, timeout: float | None = None) -> Order:
        """See :meth:`cryptoproto.Order.wait_closed`."""
        self._thread.run(lambda: self._order.wait_closed(timeout))
        return self

    def _now(self, function: Callable[[], T]) -> T:
        """Read something that takes more than one attribute in the thread that changes them."""
        return self._thread.call(function) if self._thread.is_running else function()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and other._order is self._order

    def __hash__(self) -> int:
        return hash(self._order)

    def __repr__(self) -> str:
        return repr(self._order)


class OrderDifference(AsDict, msgspec.Struct, frozen=True):
    """A difference from the exchange's list of orders, with the attributes of :class:`cryptoproto.OrderDifference`."""

    order: Order
    what: str
    here: OrderStatus | Decimal | None
    there: OrderStatus | Decimal


class OrderTable:
    """All orders that are not closed, and the latest closed ones; see :attr:`cryptoproto.Client.orders`."""

    def __init__(self, thread: LoopThread, table: Callable[[], AsyncOrderTable]) -> None:
        self._thread = thread
        self._table = table

    def get(self, order_id: int) -> Order | None:
        """The order with this order id, if it is known."""
        return self._wrapped(self._now(lambda: self._table().get(order_id)))

    def by_client_order_id(self, client_order_id: int) -> Order | None:
        """The order with this client order id, if it is known."""
        return self._wrapped(self._now(lambda: self._table().by_client_order_id(client_order_id)))

    @property
    def open(self) -> list[Order]:
        """The open orders as of the last event, sorted by order id, without asking the exchange."""
        return [Order(self._thread, order) for order in self._now(lambda: self._table().open)]

    @property
    def trades(self) -> list[OwnTrade]:
        """The latest thousand fills of all orders, oldest first."""
        return self._now(lambda: self._table().trades)

    @property
    def unfinished(self) -> list[Order]:
        """The orders that have not ended: open ones, and sent ones whose outcome is not known."""
        return [Order(self._thread, order) for order in self._now(lambda: self._table().unfinished)]

    def __len__(self) -> int:
        return self._now(lambda: len(self._table()))

    def __iter__(self) -> Iterator[Order]:
        """All orders that are known now, closed ones first."""
        return iter([Order(self._thread, order) for order in self._now(lambda: list(self._table()))])

    def __repr__(self) -> str:
        return f"<sync.OrderTable, orders: {len(self)}, open: {len(self.open)}>"

    def _wrapped(self, order: AsyncOrder | None) -> Order | None:
        return None if order is None else Order(self._thread, order)

    def _now(self, function: Callable[[], T]) -> T:
        return self._thread.call(function) if self._thread.is_running else function()
