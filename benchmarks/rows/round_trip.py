"""The round trip of a request over loopback, against a bare picows echo, and against the codec on such a link."""

from __future__ import annotations

import statistics
import time
from typing import Final

import cryptoproto as cp
from cryptoproto.messages import encode

from ..machinery import samples
from ..machinery.codec_client import codec_client
from ..machinery.echo import echo_client
from ..machinery.effort import Effort
from ..machinery.link import connect_to
from ..machinery.processes import Responder
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9


def rows(effort: Effort) -> list[Row]:
    """The medians of all three, in blocks that take turns."""
    server = effort.responder
    medians = run(_measure(effort, server), uvloop=server.uvloop)
    title = "round trip of a request (p50), against a bare picows echo"
    codec = "the same, against our codec on a bare picows link"
    return [
        Row.from_pairs("round-trip", title, [(ours, echo) for ours, echo, _ in medians], unit="us", at_most=1.35),
        Row.from_pairs("round-trip-codec", codec, [(ours, bare) for ours, _, bare in medians], unit="us", at_most=1.15),
    ]


async def _measure(effort: Effort, server: Responder) -> list[tuple[float, float, float]]:
    block = effort.scaled(400)
    request = cp.UserBalanceRequest()
    session, _ = samples.open_sessions(cp.Protocol.V5)
    _, frame = session.request_frame(encode(request))

    async def ours() -> None:
        await connection.request(request)

    async def echo() -> None:
        await bare.request(frame)

    async def codec() -> None:
        await alone.request(request)

    async with (
        echo_client(server.echo_url) as bare,
        codec_client(server) as alone,
        connect_to(server.url, server.directory) as connection,
    ):
        trips = (ours, echo, codec)
        medians: list[tuple[float, float, float]] = []
        for number in range(effort.rounds + 1):
            samples_ns: tuple[list[int], list[int], list[int]] = ([], [], [])
            # Each round is many short blocks, so that a change of load meets all.
            for turn in range(15):
                place = (turn + number) % 3
                await _time(trips[place], block // 5, samples_ns[place])
            first, second, third = (statistics.median(each) / 1000 for each in samples_ns)
            medians.append((first, second, third))
    return medians[1:]  # the first warmed up


async def _time(trip: object, count: int, into: list[int]) -> None:
    clock = time.perf_counter_ns
    for _ in range(count):
        start = clock()
        await trip()  # type: ignore[operator]
        into.append(clock() - start)
