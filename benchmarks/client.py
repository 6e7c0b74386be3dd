"""What ``Client`` costs over a bare ``Connection``, and how each number grows as its work grows tenfold.

The events are those of orders that rest, are filled and are closed, six for each, and the client keeps its order table,
its balances and its position of them.
"""

from __future__ import annotations

from functools import partial

from .measure import in_turns
from .processes import Responder, run_client
from .report import Effort, Row
from .samples import ORDER_EVENTS

__all__ = ["client_memory_rows", "client_rows"]

_MODULE = "benchmarks.client_consumer"


def client_rows(effort: Effort, server: Responder) -> list[Row]:
    """CPU time of an event with each store against that of the connection alone; each in a fresh process, in turns."""
    count = _whole(effort.scaled(120_000))
    warm_up = _whole(effort.scaled(12_000))

    def cost(kind: str, events: int) -> float:
        return float(run_client(server, kind, events, warm_up, module=_MODULE)["cpu_us"])

    rows: list[Row] = []
    for kind, store, at_most in (("memory", "MemoryStore", 1.5), ("sqlite", "SqliteStore", 3.0)):
        grown = in_turns(partial(cost, kind, count), partial(cost, kind, _whole(count // 10)), effort.rounds)
        # Short and many, because each is a process of its own, and the weather changes from one to the next.
        short = _whole(count // 4)
        pairs = in_turns(partial(cost, kind, short), partial(cost, "connection", short), 4 * effort.rounds)
        rows += [
            Row.from_pairs(
                f"client-{kind}", f"an event of Client with {store}, against a bare Connection", pairs, unit="us",
                at_most=at_most,
            ),
            Row.from_pairs(
                f"client-{kind}-growth", f"the same over {count:,} events, against a tenth of them", grown, unit="us"
            ),
        ]  # fmt: skip
    bare = in_turns(
        lambda: cost("connection", count), lambda: cost("connection", _whole(count // 10)), min(effort.rounds, 3)
    )
    rows.append(
        Row.from_pairs("client-bare-growth", f"Connection over {count:,} events, against a tenth", bare, unit="us")
    )
    return rows


def client_memory_rows(effort: Effort, server: Responder) -> list[Row]:
    """The highest growth of resident memory at fifty moments on the way, once the table is as full as it gets."""
    orders = effort.scaled(1_000_000)
    measured = run_client(
        server, "growth", 50 * _whole(orders * ORDER_EVENTS // 50), _whole(effort.scaled(150_000)), module=_MODULE,
    )  # fmt: skip
    first = float(measured["first_tenth_mib"])
    title = f"growth of resident memory over {orders:,} closed orders ({first:.2f} MiB over the first tenth)"
    return [Row.absolute("client-orders", title, float(measured["growth_mib"]), unit="MiB", at_most=4.0)]


def _whole(events: int) -> int:
    """The nearest number of events that ends with the end of an order."""
    return max(1, round(events / ORDER_EVENTS)) * ORDER_EVENTS
