"""The client for scripts and notebooks: the same methods without ``await``.

::

    from cryptoproto import Side, sync

    with sync.Client(url, client_id="alice", private_key=key, server_key=pub) as client:
        order = client.place("BTC_USD", Side.BUY, amount="1", price="15000")
        order.wait_closed(timeout=30)

Each object has an event loop of its own in a daemon thread of its own, so it keeps its connection alive while the
caller does something else, and can be used where an event loop runs already, as in a notebook. Errors are raised in the
thread of the caller, with their types. Ctrl-C ends the wait and nothing else. All methods may be called by any thread.
"""

from __future__ import annotations

from .client import Client, Report
from .connection import Connection, connect
from .market_data import MarketData
from .orders import Order, OrderDifference, Orders
from .stream import Stream

__all__ = [
    "Client",
    "Connection",
    "MarketData",
    "Order",
    "OrderDifference",
    "Orders",
    "Report",
    "Stream",
    "connect",
]
