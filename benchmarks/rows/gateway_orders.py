"""From an order to its acknowledgement through a gateway, against a client with its own connection.

The floor is the direct client plus two and a half NATS requests to the process of the owner, each with as many bytes as
the call that places an order, and answered with as many as its reply. All three take turns within each round; each
round gives the median of its orders.

In the first row, the three take turns call by call, with a pause before each. So all begin with idle processes, as the
orders of a strategy do that waits for the market, and are made equally often.

In the second row, calls follow each other without a pause, and each of the three has its own turn of many calls. That
suits best what is shortest: a bare request then finds the processes awake that it needs, and their code in the caches
of the processor. The next two rows say how much. An order through the gateway gains little, and competes with the work
that the one before has left, such as publishing its events.

The last row is what an order costs the owner: its processor time with a hundred strategies that listen, in another
process, against that without them.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final, NamedTuple

from nats.aio.client import Client as Nats
from nats.aio.msg import Msg

import cryptoproto as cp
from cryptoproto.gateway import GatewayClient
from cryptoproto.gateway.names import Names, inbox_of
from cryptoproto.gateway.nats_connection import flush_nats

from ..machinery.desk import Desk, processor_seconds
from ..machinery.effort import Effort
from ..machinery.measure import Pair
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 7

_REQUESTS: Final = 2.5
_PAUSE_S: Final = 0.005
"""Long enough for what follows an order: its outcome is written and its events are published within 2 ms."""
_MANY: Final = 100
_COST_ROUNDS: Final = 3
_FLAT: Final = 1.25
"""What counts as flat: the processor's caches are shared with the strategies."""


def rows(effort: Effort) -> list[Row]:
    """Order to acknowledgement, and what an order costs the owner among a hundred strategies."""
    many = 2 if effort.quick else _MANY
    with Desk.running() as desk:
        pid = desk.gateway()
        paused, unpaused = run(_times(desk, effort.rounds, effort.scaled(100)))
        costs = []
        for _ in range(effort.repeated(_COST_ROUNDS)):
            alone = run(_cost_us(desk, pid, effort.scaled(500)))
            with desk.strategies(many - 1):
                costs.append((run(_cost_us(desk, pid, effort.scaled(500))), alone))
    title = "order to acknowledgement through a gateway, against direct plus 2.5 NATS requests"
    return [
        Row.from_pairs("gateway-orders", title, [each.pair for each in paused], unit="us", at_most=1.0),
        Row.from_pairs(
            "gateway-orders-unpaused",
            f"{title}, all without a pause",
            [each.pair for each in unpaused],
            unit="us",
            at_most=1.0,
        ),
        Row.from_pairs(
            "gateway-orders-direct",
            "a direct order after a pause, against one without",
            [(after.direct, without.direct) for after, without in zip(paused, unpaused, strict=True)],
            unit="us",
        ),
        Row.from_pairs(
            "gateway-orders-bare",
            "a NATS request after a pause, against one without",
            [(after.bare, without.bare) for after, without in zip(paused, unpaused, strict=True)],
            unit="us",
        ),
        Row.from_pairs(
            "gateway-orders-strategies",
            f"processor time of the owner for an order with {many} strategies, against one",
            costs,
            unit="us",
            at_most=_FLAT,
        ),
    ]


class _Medians(NamedTuple):
    """What calls of the three kinds took."""

    ours: float
    direct: float
    bare: float

    @property
    def pair(self) -> Pair:
        return self.ours, self.direct + _REQUESTS * self.bare

    @classmethod
    def of(cls, durations: Iterable[Sequence[float]]) -> _Medians:
        return cls(*map(statistics.median, durations))


async def _times(desk: Desk, rounds: int, count: int) -> tuple[list[_Medians], list[_Medians]]:
    """What each round measured with pauses, and without."""
    paused, unpaused = [], []
    async with AsyncExitStack() as stack:
        direct = await stack.enter_async_context(cp.Client(desk.url, **desk.identity("bob")))
        shared = await stack.enter_async_context(GatewayClient(desk.nats_url, client_id="alice", strategy="s0"))
        nc = Nats()
        await nc.connect(desk.nats_url)
        stack.push_async_callback(nc.close)
        asked, replied = await _sizes(nc, _place(shared))
        calls = [_place(shared), _place(direct), _request(nc, f"echo.{replied}", b"x" * asked)]
        for call in calls:
            await call()
        for _ in range(rounds):
            paused.append(_Medians.of(await _alternating(calls, count)))
            unpaused.append(_Medians.of([[await _duration_us(call) for _ in range(2 * count)] for call in calls]))
    return paused, unpaused


async def _sizes(nc: Nats, place: Callable[[], Awaitable[Any]]) -> tuple[int, int]:
    """The bytes of a call that places an order, and of its reply."""
    asked: asyncio.Queue[Msg] = asyncio.Queue()
    replied: asyncio.Queue[Msg] = asyncio.Queue()
    await place()  # the first one asks for more than the others
    listening = [
        await nc.subscribe(Names("alice").command("s0"), cb=asked.put),
        await nc.subscribe(f"{inbox_of('s0')}.>", cb=replied.put),
    ]
    await flush_nats(nc)
    await place()
    call = await asked.get()
    reply = await replied.get()
    while reply.subject != call.reply:
        reply = await replied.get()
    for each in listening:
        await each.unsubscribe()
    return len(call.data), len(reply.data)


async def _alternating(calls: Sequence[Callable[[], Awaitable[Any]]], count: int) -> list[list[float]]:
    durations: list[list[float]] = [[] for _ in calls]
    for _ in range(count):
        for call, of_call in zip(calls, durations, strict=True):
            await asyncio.sleep(_PAUSE_S)
            of_call.append(await _duration_us(call))
    return durations


async def _duration_us(call: Callable[[], Awaitable[Any]]) -> float:
    start = time.perf_counter_ns()
    await call()
    return (time.perf_counter_ns() - start) / 1000


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


def _request(nc: Nats, subject: str, payload: bytes) -> Callable[[], Awaitable[Any]]:
    async def request() -> None:
        await nc.request(subject, payload, timeout=5)

    return request
