"""What an open status page with a thousand open orders costs the path of events, and how old what it shows can be.

Both clients have a thousand open orders and take the same events as fast as they can. One of them is looked at by a
page in another process.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from ..machinery.client_cost import CLIENT_CONSUMER, whole_orders
from ..machinery.effort import Effort
from ..machinery.measure import in_turns
from ..machinery.processes import run_client
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5
_COUNT: Final = 150_000
_WARM_UP: Final = 12_000
_PACED: Final = 90_000


def rows(effort: Effort) -> list[Row]:
    """The cost of an event, and the longest time between two updates of the page."""
    pairs = in_turns(partial(_cpu_us, effort, "watched"), partial(_cpu_us, effort, "standing"), effort.rounds)
    count = whole_orders(effort.scaled(_PACED))
    read = run_client(effort.responder, "page", count, 0, module=CLIENT_CONSUMER)
    title = (
        f"nine of ten updates of the page come at most this long after the one before, at some 20,000 events a second "
        f"({read['updates']} updates; the longest took {read['longest_ms']:.0f} ms)"
    )
    return [
        Row.from_pairs(
            "status-page", "an event of Client with 1,000 open orders and an open status page, against no page", pairs,
            unit="us", at_most=1.05,
        ),
        Row.absolute("status-page-age", title, float(read["p90_ms"]), unit="ms", below=250.0),
    ]  # fmt: skip


def _cpu_us(effort: Effort, kind: str) -> float:
    count, warm_up = whole_orders(effort.scaled(_COUNT)), whole_orders(effort.scaled(_WARM_UP))
    return float(run_client(effort.responder, kind, count, warm_up, module=CLIENT_CONSUMER)["cpu_us"])
