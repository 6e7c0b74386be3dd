"""From an order to its acknowledgement through a gateway, against a client with its own connection.

The floor of the first row is the direct client plus two and a half NATS requests of the same sizes to a process that
echoes them. All three take turns within each round; each round gives the median of its orders.

The second row is what an order costs the owner: its processor time with a hundred strategies that listen, in another
process, against that without them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from nats.aio.client import Client as Nats

import cryptoproto as cp
from cryptoproto.gateway import GatewayClient

from ..machinery.desk import Desk, processor_seconds
from ..machinery.effort import Effort
from ..machinery.measure import Pair
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 7

_REQUESTS: Final = 2.5
_SIZE: Final = 320
"""The bytes of a call that places an order."""
_MANY: Final = 100
_COST_ROUNDS: Final = 3
_FLAT: Final = 1.25
"""What counts as flat: the processor's caches are shared with the strategies."""


def rows(effort: Effort) -> list[Row]:
    """Order to acknowledgement, and what an order costs the owner among a hundred strategies."""
    many = 2 if effort.quick else _MANY
    with Desk.running() as desk:
        pid = desk.gateway()
        pairs = run(_times(desk, effort.rounds, effort.scaled(200)))
        costs = []
        for _ in range(effort.repeated(_COST_ROUNDS)):
            alone = run(_cost_us(desk, pid, effort.scaled(500)))
            with desk.strategies(many - 1):
                costs.append((run(_cost_us(desk, pid, effort.scaled(500))), alone))
    title = "order to acknowledgement through a gateway, against direct plus 2.5 NATS requests"
    return [
        Row.from_pairs("gateway-orders", title, pairs, unit="us", at_most=1.0),
        Row.from_pairs(
            "gateway-orders-strategies",
            f"processor time of the owner for an order with {many} strategies, against one",
            costs,
            unit="us",
            at_most=_FLAT,
        ),
    ]


async def _times(desk: Desk, rounds: int, count: int) -> list[Pair]:
    pairs = []
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(cp.Client(desk.url, **desk.identity("bob")))
        shared = await stack.enter_async_context(GatewayClient(desk.nats_url, client_id="alice", strategy="s0"))
        nc = Nats()
        await nc.connect(desk.nats_url)
        stack.push_async_callback(nc.close)
        payload = b"x" * _SIZE
        for each in (direct, shared):
            await _place(each)()
        for _ in range(rounds):
            ours = await _median_us(_place(shared), count)
            floor = await _median_us(_place(direct), count)
            bare = await _median_us(lambda: nc.request("echo", payload, timeout=5), count)
            pairs.append((ours, floor + _REQUESTS * bare))
    return pairs


async def _cost_us(desk: Desk, pid: int, count: int) -> float:
    async with GatewayClient(desk.nats_url, client_id="alice", strategy="s0") as client:
        place = _place(client)
        await place()
        before = processor_seconds(pid)
        for _ in range(count):
            await place()
        return (processor_seconds(pid) - before) / count * 1e6


def _place(client: Any) -> Callable[[], Awaitable[Any]]:
    async def place() -> None:
        await client.place("BTC_USD", "buy", amount="0.01", price="100", time_in_force="ioc", wait=True)

    return place


async def _median_us(call: Callable[[], Awaitable[Any]], count: int) -> float:
    durations = []
    for _ in range(count):
        start = time.perf_counter_ns()
        await call()
        durations.append(time.perf_counter_ns() - start)
    return statistics.median(durations) / 1000
