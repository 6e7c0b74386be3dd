"""What shows that an exchange has forgotten a part of its history, because it was restored from a backup."""

from __future__ import annotations

from typing import Any

from ..exceptions import HistoryRewound
from ..messages import OrderPlaced, UserOrdersResponse
from .account import OrderStatus, OrderTable
from .store import RecordingStore, Store

__all__ = ["known_to", "rewound_before", "rewound_by"]


def known_to(store: Store) -> int:
    """The last transaction of which *store* has something: it settled a message, or is in the history.

    Both may be ahead of the position. New events with ids up to it would settle nothing, and would not be recorded.
    """
    recorded = store.recorded_through if isinstance(store, RecordingStore) else -1
    return max(store.settled_through, recorded)


def rewound_by(message: Any, transaction_id: int, orders: OrderTable, settled_through: int) -> HistoryRewound | None:
    """The error if *message* is new and shows that the exchange uses an id for a second time.

    Args:
        message: an answer to an order or a cancel, which the tables have.
        transaction_id: of its event.
        orders: all known orders.
        settled_through: the last transaction that has settled a message.
    """
    if transaction_id <= settled_through:
        return HistoryRewound(settled_through, transaction_id)
    if isinstance(message, OrderPlaced):
        order, number = orders.get(message.order_id), message.client_order_id
        if order is not None and number is not None and order.client_order_id not in (None, number):
            return HistoryRewound(message.order_id, message.order_id, "order")
    return None


def rewound_before(response: Any, received: int, known: int, orders: OrderTable) -> HistoryRewound | None:
    """The error if the replay, and the list of open orders after it, show that the exchange has forgotten events.

    Args:
        response: the exchange's answer to a UserOrdersRequest.
        received: the last transaction of the replay, or where it began.
        known: the last transaction in the tables. New events with such ids would change and settle nothing.
        orders: all known orders.
    """
    if received < known:
        return HistoryRewound(known, received)
    if isinstance(response, UserOrdersResponse):
        for book in response.order_books.values():
            for row in (*book.buy, *book.sell):
                order = orders.get(row.order_id)
                if order is not None and order.status in (OrderStatus.FILLED, OrderStatus.CANCELLED):
                    return HistoryRewound(row.order_id, row.order_id, "order")
    return None
