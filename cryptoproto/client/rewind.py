"""What shows that an exchange has forgotten a part of its history, because it was restored from a backup."""

from __future__ import annotations

from typing import Any

from ..exceptions import HistoryRewound
from ..messages import OrderPlaced
from .account import OrderTable

__all__ = ["rewound_by"]


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
