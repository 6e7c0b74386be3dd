"""How many events a second reach each of ten strategies from one owner.

The exchange has a history. A gateway with an empty event stream receives it as fast as it can, publishes it, and ten
strategies in this process read it. The clock runs from the first event to the last one of the slowest strategy.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Final

from cryptoproto.exceptions import GatewayError
from cryptoproto.gateway import GatewayClient, Operator

from ..machinery.desk import Desk
from ..machinery.effort import Effort
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 1

_STRATEGIES: Final = 10


def rows(effort: Effort) -> list[Row]:
    """The rate of each strategy, with ten of them and with one."""
    found = []
    for strategies in (_STRATEGIES, 1):
        with Desk.running() as desk:
            desk.place_orders(10 * effort.scaled(500))
            desk.gateway()
            found.append(run(_rate(desk, strategies)))
    title = f"events a second to each of {_STRATEGIES} strategies in one process, against one strategy"
    return [Row.from_pairs("gateway-events", title, [(found[0], found[1])], unit="events/s")]


async def _rate(desk: Desk, strategies: int) -> float:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                GatewayClient(desk.nats_url, client_id="alice", strategy=f"s{number}", sees_all=True)
            )
            for number in range(strategies)
        ]
        last = await _last_transaction(desk)
        rates = await asyncio.gather(*(_read(client, last) for client in clients))
    return min(rates)


async def _last_transaction(desk: Desk) -> int:
    """The end of the history, once all of it is published."""
    async with Operator(desk.nats_url, "alice") as operator:
        while True:
            try:
                status = await operator.status()
            except GatewayError:  # it is not the owner yet
                await asyncio.sleep(0.05)
                continue
            if status.state == "live" and not status.lag:
                return status.position


async def _read(client: GatewayClient, last: int) -> float:
    count, start = 0, time.perf_counter()
    async for event in client.events():
        if not count:
            start = time.perf_counter()
        count += 1
        if (event.transaction_id or 0) >= last:
            break
    return count / max(time.perf_counter() - start, 1e-9)
