"""From the loss of the owner to the first new acknowledgement: after ``kill -9`` at a lease of 2 s, and on handover."""

from __future__ import annotations

import os
import signal
import statistics
import time
from typing import Final

import cryptoproto as cp
from cryptoproto.gateway import GatewayClient, Operator

from ..machinery.desk import Desk
from ..machinery.effort import Effort
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 5


def rows(effort: Effort) -> list[Row]:
    """Both, as the median of the rounds."""
    with Desk.running() as desk:
        pids = {desk.gateway(), desk.gateway()}
        handovers, kills = run(_measure(desk, pids, effort.rounds))
    killed = "first acknowledgement after kill -9 of the owner, at a lease of 2 s"
    return [
        Row.absolute("gateway-takeover", killed, statistics.median(kills), unit="s", below=3.0),
        Row.absolute(
            "gateway-takeover-handover", "the same on handover", statistics.median(handovers), unit="s", below=0.3
        ),
    ]


async def _measure(desk: Desk, pids: set[int], rounds: int) -> tuple[list[float], list[float]]:
    handovers, kills = [], []
    async with (
        GatewayClient(desk.nats_url, client_id="alice", strategy="s0") as client,
        Operator(desk.nats_url, "alice") as operator,
    ):
        await _acknowledged(client)
        for _ in range(rounds):
            start = time.perf_counter()
            await operator.handover()
            await _acknowledged(client)
            handovers.append(time.perf_counter() - start)
            owner = int((await operator.status()).owner.split(":")[1])
            start = time.perf_counter()
            os.kill(owner, signal.SIGKILL)
            await _acknowledged(client)
            kills.append(time.perf_counter() - start)
            pids.discard(owner)
            pids.add(desk.gateway())
    return handovers, kills


async def _acknowledged(client: GatewayClient) -> None:
    """Place orders until one is accepted."""
    while True:
        try:
            await client.place("BTC_USD", "buy", amount="0.01", price="100", time_in_force="ioc", timeout=5, wait=True)
        except cp.RequestError:
            continue
        return
