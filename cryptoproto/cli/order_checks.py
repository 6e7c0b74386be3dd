"""The checks of ``order buy`` and ``order sell``: the instruments and limits of the profile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, Final, NamedTuple

from ..client import Order
from ..connection import Connection
from ..exceptions import RequestNotSent, RequestTimeout
from ..instruments import OrderLimits
from ..market_data import MarketData, OrderBook, feed_arguments
from ..messages import PlaceOrder, TimeInForce, Unknown, UserOrdersRequest, UserOrdersResponse
from ..profiles import Profile

__all__ = ["OrderCheck"]

_OF_OPEN_VALUE: Final = ("max_pair_open_value", "max_open_value")


class _Open(NamedTuple):
    """An order that is open at the exchange."""

    trade_pair: str
    remaining: Decimal
    price: Decimal


class OrderCheck:
    """Checks one order against the instruments and limits of a profile, before it is sent.

    ``max_orders_per_second`` is not checked, because a command sends one order.

    Args:
        settings: the profile.
        message: the order.
        timeout: seconds for the book and for the open orders.

    Raises:
        OrderInvalid: a rule or a limit does not allow the order, whatever is in the book.
    """

    def __init__(self, settings: Profile, message: PlaceOrder, timeout: float) -> None:
        self._settings = settings
        self._order = order = Order.of(message)
        self._timeout = timeout
        for instrument in settings.instruments():
            if instrument.trade_pair == order.trade_pair:
                time_in_force = order.time_in_force or TimeInForce.GTC
                instrument.check(order.side, order.amount, order.price, time_in_force=time_in_force)
        self._limits: dict[str, Any] = dict(settings.values.get("limits", {}))
        self._band = {key: self._limits.pop(key) for key in ("price_band", "when_stale") if key in self._limits}
        self._local = OrderLimits(**self._limits)
        self._local.check(order)

    @asynccontextmanager
    async def book(self) -> AsyncIterator[OrderBook | None]:
        """The book that a price band needs, for as long as the order is checked; ``None`` if the pair has no band.

        Raises:
            ConfigurationError: the profile has no address of the market data.
        """
        pair, band = self._order.trade_pair, self._band.get("price_band")
        if band is None or (isinstance(band, Mapping) and pair not in band):
            yield None
            return
        async with MarketData(**feed_arguments(self._settings, pairs=[pair])) as feed:
            with suppress(RequestTimeout):  # the limit says what happens then
                await feed.wait_book(pair, timeout=self._timeout)
            yield feed.book(pair)

    async def check(self, connection: Connection, book: OrderBook | None) -> None:
        """Check what needs the book or the open orders.

        Raises:
            OrderInvalid: a limit does not allow the order.
            RequestNotSent: the exchange did not say which orders are open, so nothing was sent.
        """
        if book is not None:
            OrderLimits(**self._band, book=book).check(self._order)
        if any(name in self._limits for name in _OF_OPEN_VALUE):
            self._local.check(self._order, await self._open_orders(connection))

    async def _open_orders(self, connection: Connection) -> list[_Open]:
        try:
            response = await connection.request(UserOrdersRequest(), timeout=self._timeout)
        except RequestTimeout as error:
            raise RequestNotSent(f"the order was not sent, because its limits need the open orders: {error}") from error
        if not isinstance(response, UserOrdersResponse):
            given = response.type if isinstance(response, Unknown) else type(response).__name__
            raise RequestNotSent(f"the order was not sent: UserOrdersResponse was expected, and {given} was received")
        books = response.order_books.items()
        return [_Open(pair, row.amount, row.price) for pair, book in books for row in (*book.buy, *book.sell)]
