"""What a client's gauges show."""

from __future__ import annotations

from .account import OrderTable
from .event_stream import EventDelivery
from .link import Link
from .order_entry import OrderEntry

__all__ = ["gauges"]


def gauges(link: Link, orders: OrderTable, events: EventDelivery, order_entry: OrderEntry) -> dict[str, float]:
    """The gauges as they are now, by name."""
    connection = link.connection
    limiter = order_entry.rate_limiter
    return {
        "queued_events": float(events.queued),
        "requests_in_flight": float(connection.in_flight if connection is not None else 0),
        "unanswered_messages": float(order_entry.unanswered),
        "pacing_depth": float(limiter.depth),
        "pacing_hold_s": limiter.hold,
        "throttling_hold_s": connection.hold if connection is not None else 0.0,
        "open_orders": float(sum(order.is_open for order in orders.unfinished)),
        "connected": float(connection is not None),
    }
