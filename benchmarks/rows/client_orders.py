"""How much memory of a client a million closed orders leave occupied."""

from __future__ import annotations

from typing import Final

from ..machinery.client_cost import CLIENT_CONSUMER, whole_orders
from ..machinery.effort import Effort
from ..machinery.processes import run_client
from ..machinery.report import Row
from ..machinery.samples import ORDER_EVENTS

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 1


def rows(effort: Effort) -> list[Row]:
    """The highest growth of resident memory at fifty moments, starting when the order table is full."""
    orders = effort.scaled(1_000_000)
    count = 50 * whole_orders(orders * ORDER_EVENTS // 50)
    warm_up = whole_orders(effort.scaled(150_000))
    measured = run_client(effort.responder, "growth", count, warm_up, module=CLIENT_CONSUMER)
    first = float(measured["first_tenth_mib"])
    title = f"growth of resident memory over {orders:,} closed orders ({first:.2f} MiB over the first tenth)"
    return [Row.absolute("client-orders", title, float(measured["growth_mib"]), unit="MiB", below=4.0)]
