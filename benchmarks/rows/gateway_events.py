"""How many events a second reach each of ten strategies from one owner.

The exchange has a history. Strategies wait, each in its own process. A gateway with an empty event stream receives the
history, publishes it, and they read it. The clock runs from the first event in the stream to the last one of the
slowest strategy, so it also counts the time in which the strategies find the owner.
"""

from __future__ import annotations

from typing import Final

from nats.aio.client import Client as Nats

from cryptoproto.gateway.names import Names

from ..machinery.desk import Desk
from ..machinery.effort import Effort
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 1

_STRATEGIES: Final = 10
_AT_LEAST: Final = 5_000
_EVENTS_PER_ORDER: Final = 4
"""Of an order that takes nothing and does not rest: placed, cancelled, and the balance twice."""


def rows(effort: Effort) -> list[Row]:
    """The rate of the slowest of ten strategies, against what is asked for."""
    strategies, orders = (2 if effort.quick else _STRATEGIES), effort.scaled(10_000)
    with Desk.running() as desk:
        desk.place_orders(orders)
        events = orders * _EVENTS_PER_ORDER
        with desk.readers(strategies, events) as readers:
            desk.gateway()
            last_ns = max(next(each)["last_ns"] for each in readers)
            rate = events / (last_ns / 1e9 - run(_first_published(desk)))
    title = f"events a second to each of {strategies} strategies in their own processes, against {_AT_LEAST:,}"
    return [Row.from_pairs("gateway-events", title, [(rate, _AT_LEAST)], unit="events/s", at_least=1.0)]


async def _first_published(desk: Desk) -> float:
    """When the first event was in the stream, in unix seconds."""
    nc = Nats()
    await nc.connect(desk.nats_url)
    try:
        stored = (await nc.jetstream().get_msg(Names("alice").events_stream, 1)).time
        assert stored is not None
        return stored.timestamp()
    finally:
        await nc.close()
