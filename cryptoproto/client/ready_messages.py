"""Messages that are kept signed, whatever connection there is: prepared orders, and the cancels of open orders."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from ..arguments import check_count
from ..connection import Connection
from ..exceptions import CryptoprotoError
from ..messages import CancelAllOrders, CancelOrder, encode
from .account import OrderTable

__all__ = ["ReadyMessages"]


class ReadyMessages:
    """Has each connection sign messages ahead, and the next connection again.

    Messages are known by their JSON. When one of them is sent, by whatever call, it needs no signature any more.

    Args:
        orders: all known orders.
        keep_cancels: for how many open orders, the newest ones, a cancel is kept signed; 0 = none. With any, the
            message that cancels all orders is, too.

    Raises:
        ConfigurationError: *keep_cancels* is not a whole number of at least 0.
    """

    def __init__(self, orders: OrderTable, *, keep_cancels: int) -> None:
        check_count("keep_cancels_ready", keep_cancels, 0)
        self._orders = orders
        self._keep_cancels = keep_cancels
        self._connection: Connection | None = None
        self._prepared: Counter[bytes] = Counter()
        self._cancels: dict[int, bytes] = {}  # by order id
        self.follows_orders: bool = keep_cancels > 0

    def connected(self, connection: Connection) -> None:
        """A connection was opened: sign everything that is prepared for its next sequence."""
        self._connection = connection
        self._cancels.clear()
        for payload in self._prepared.elements():
            connection.keep_signed(payload)
        if self.follows_orders:
            connection.keep_signed(encode(CancelAllOrders()), spare=True)

    def add(self, payload: bytes) -> None:
        """Keep a message signed until :meth:`remove`."""
        self._prepared[payload] += 1
        if self._connection is not None:
            self._connection.keep_signed(payload)

    def remove(self, payload: bytes) -> None:
        """Take one :meth:`add` back."""
        self._prepared[payload] -= 1
        if not self._prepared[payload]:
            del self._prepared[payload]
        if self._connection is not None:
            self._connection.release(payload)

    def is_signed(self, payload: bytes) -> bool:
        """Whether the message can be sent now, without waiting for a signature."""
        connection = self._connection
        return connection is not None and connection.is_open and connection.is_signed(payload)

    async def wait_signed(self, payload: bytes) -> None:
        """Wait until a message that is kept signed can be sent without waiting for a signature.

        Without a connection, or when it ends, there is nothing to wait for: the next one signs it.
        """
        if self._connection is not None:
            with suppress(CryptoprotoError):  # the connection has ended
                await self._connection.wait_signed(payload)

    def follow_orders(self) -> None:
        """Orders may have been opened or closed: keep the cancels of those signed that are open now."""
        connection = self._connection
        if connection is None:
            return
        wanted = self._orders.newest_open(self._keep_cancels)
        if wanted == self._cancels.keys():
            return
        for order_id in self._cancels.keys() - wanted:
            connection.release(self._cancels.pop(order_id), spare=True)
        for order_id in sorted(wanted - self._cancels.keys()):
            payload = self._cancels[order_id] = encode(CancelOrder(order_id))
            connection.keep_signed(payload, spare=True)
