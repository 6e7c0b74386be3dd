"""The client for scripts and notebooks: the same methods without ``await``.

::

    from cryptoproto import Side, sync

    with sync.Client(url, client_id="alice", private_key=key, server_key=pub) as client:
        order = client.place("BTC_USD", Side.BUY, amount="1", price="15000")
        order.wait_closed(timeout=30)

Each object runs its own event loop in a daemon thread. So it keeps its connection alive while the caller does something
else, and it works where an event loop is running already, as in a notebook. Errors are raised in the caller's thread,
with their types. Ctrl-C interrupts the wait and nothing else. All methods can be called from any thread.
"""

from __future__ import annotations

from .client import Client, Report
from .connection import Connection, connect
from .market_data import MarketData
from .orders import Order, OrderDifference, OrderTable
from .prepared import PreparedMessage, PreparedOrder
from .stream import Stream

__all__ = [
    "Client",
    "Connection",
    "MarketData",
    "Order",
    "OrderDifference",
    "OrderTable",
    "PreparedMessage",
    "PreparedOrder",
    "Report",
    "Stream",
    "connect",
]
