"""What a client looks like at one moment, and what has changed since another."""

from __future__ import annotations

from typing import Any

import msgspec

from .plain_rows import Row

__all__ = ["Snapshot", "changes"]


class Snapshot(msgspec.Struct, frozen=True):
    """A client at one moment.

    Attributes:
        at: when, in unix seconds.
        orders: the rows of the open orders by order id, oldest first. The row of an order that has not changed is the
            same object as in the snapshot before.
        sections: everything else, by the name that it has in ``/status.json``.
    """

    at: float
    orders: dict[int, Row]
    sections: dict[str, Any]

    def document(self) -> dict[str, Any]:
        """What ``/status.json`` answers."""
        return {"at": self.at, **self.sections, "open_orders": list(self.orders.values())}


def changes(before: Snapshot, after: Snapshot) -> dict[str, Any] | None:
    """What has changed: sections by name, and the orders that are new, different or gone; ``None`` if nothing."""
    changed = {name: value for name, value in after.sections.items() if before.sections.get(name) != value}
    known = before.orders
    placed = [row for order_id, row in after.orders.items() if known.get(order_id) is not row]
    gone = [order_id for order_id in known if order_id not in after.orders]
    if placed or gone:
        changed["orders"] = {"set": placed, "gone": gone}
    return {"at": after.at, **changed} if changed else None
