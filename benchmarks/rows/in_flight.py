"""What a request costs when many are in flight, against when few are."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import cryptoproto as cp

from ..machinery.effort import Effort
from ..machinery.link import connect_to
from ..machinery.measure import Pair
from ..machinery.processes import Responder
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "cpu_us", "rows"]

ROUNDS: Final = 7


def rows(effort: Effort) -> list[Row]:
    """CPU time of this process for each request, with 10,000 and with 100 in flight at any time."""
    server = effort.responder
    pairs = run(_measure(effort, server), uvloop=server.uvloop)
    title = "CPU of a request with 10,000 in flight, against 100 in flight"
    return [Row.from_pairs("in-flight", title, pairs, unit="us", at_most=1.3)]


async def _measure(effort: Effort, server: Responder) -> list[Pair]:
    many, few, count = effort.scaled(10_000), effort.scaled(100), effort.scaled(40_000)
    async with connect_to(server.url, server.directory, request_timeout=120.0) as connection:
        await cpu_us(connection, few, count)
        return [
            (await cpu_us(connection, many, count), await cpu_us(connection, few, count)) for _ in range(effort.rounds)
        ]


async def cpu_us(connection: cp.Connection, in_flight: int, count: int) -> float:
    """CPU microseconds of a request while each of *in_flight* tasks makes one request after the other.

    The clock starts when there were as many answers as tasks and stops *count* answers later, so it measures the steady
    state without the start of the tasks.
    """
    request = cp.UserBalanceRequest()
    answers = 0
    started = ended = 0.0
    first, last = in_flight, in_flight + count

    async def work() -> None:
        nonlocal answers, started, ended
        while answers < last:
            await connection.request(request)
            answers += 1
            if answers == first:
                started = time.process_time()
            elif answers == last:
                ended = time.process_time()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(work())
    return (ended - started) / count * 1e6
