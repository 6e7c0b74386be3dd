"""The round trip of a request over loopback, against a bare picows echo of frames of the same sizes."""

from __future__ import annotations

import statistics
import time
from typing import Final

import cryptoproto as cp
from cryptoproto.messages import encode

from ..machinery import samples
from ..machinery.echo import echo_client
from ..machinery.effort import Effort
from ..machinery.link import connect_to
from ..machinery.measure import Pair
from ..machinery.processes import Responder
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9


def rows(effort: Effort) -> list[Row]:
    """The medians of both, in blocks that take turns."""
    server = effort.responder
    pairs = run(_measure(effort, server), uvloop=server.uvloop)
    title = "round trip of a request (p50), against a bare picows echo"
    return [Row.from_pairs("round-trip", title, pairs, unit="us", at_most=1.5)]


async def _measure(effort: Effort, server: Responder) -> list[Pair]:
    block = effort.scaled(400)
    request = cp.UserBalanceRequest()
    session, _ = samples.open_sessions(cp.Protocol.V5)
    frame = session.seal(session.draft_request(encode(request)))

    async def ours() -> None:
        await connection.request(request)

    async def echo() -> None:
        await bare.request(frame)

    async with echo_client(server.echo_url) as bare, connect_to(server.url, server.directory) as connection:
        pairs: list[Pair] = []
        for number in range(effort.rounds + 1):
            samples_us: dict[bool, list[int]] = {True: [], False: []}
            # Each round is ten short blocks, so that a change of load meets both.
            for turn in range(10):
                is_ours = bool((turn + number) % 2)
                await _time(ours if is_ours else echo, block // 5, samples_us[is_ours])
            pairs.append((statistics.median(samples_us[True]) / 1000, statistics.median(samples_us[False]) / 1000))
    return pairs[1:]  # the first warmed up


async def _time(trip: object, count: int, into: list[int]) -> None:
    clock = time.perf_counter_ns
    for _ in range(count):
        start = clock()
        await trip()  # type: ignore[operator]
        into.append(clock() - start)
