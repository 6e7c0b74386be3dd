"""How long ``place()`` takes with ``SqliteStore``, against ``MemoryStore``: the median, and one of a hundred."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import cryptoproto as cp

from ..machinery.effort import Effort
from ..machinery.journals import journal_folder
from ..machinery.measure import Pair
from ..machinery.processes import EXCHANGE, running
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 7

_ORDERS: Final = 1000
_BLOCK: Final = 25


def rows(effort: Effort) -> list[Row]:
    """Both clients in one process, in blocks that take turns; the file is on the disk that ``BENCH_DIR`` names."""
    with journal_folder() as folder:
        for client_id in ("alice", "bob"):
            key = cp.PrivateKey.generate()
            key.save(folder / f"{client_id}.pem")
            key.public_key.save(folder / f"{client_id}.pub")
        with running(EXCHANGE, str(folder)) as exchange:
            medians, hundredths = run(_measure(effort, folder, exchange["url"]))
    title = "place() with SqliteStore, V5, against MemoryStore"
    return [
        Row.from_pairs("tail-place", f"{title}: p50", medians, unit="us", at_most=1.25),
        Row.from_pairs("tail-place-p99", f"{title}: p99", hundredths, unit="us", at_most=2.0),
    ]


async def _measure(effort: Effort, folder: Path, url: str) -> tuple[list[Pair], list[Pair]]:
    def client(client_id: str, store: cp.Store) -> cp.Client:
        return cp.Client(
            url,
            store=store,
            client_id=client_id,
            private_key=cp.PrivateKey.load(folder / f"{client_id}.pem"),
            server_key=cp.PublicKey.load(folder / "exchange.pub"),
            protocol=cp.Protocol.V5,
            transport="picows",
        )

    count = max(2, effort.scaled(_ORDERS) // _BLOCK)
    medians: list[Pair] = []
    hundredths: list[Pair] = []
    async with AsyncExitStack() as stack:
        memory = await stack.enter_async_context(client("alice", cp.MemoryStore()))
        sqlite = await stack.enter_async_context(client("bob", cp.SqliteStore(folder / "bob.db")))
        readers = [asyncio.create_task(_read(each)) for each in (memory, sqlite)]
        for number in range(effort.rounds + 1):
            taken: dict[cp.Client, list[float]] = {sqlite: [], memory: []}
            for block in range(count):
                for each in (memory, sqlite) if (number + block) % 2 else (sqlite, memory):
                    await _place(each, taken[each])
            if number:  # the first warmed up
                mine, other = sorted(taken[sqlite]), sorted(taken[memory])
                medians.append((mine[len(mine) // 2], other[len(other) // 2]))
                hundredths.append((mine[len(mine) * 99 // 100], other[len(other) * 99 // 100]))
        for reader in readers:
            reader.cancel()
    return medians, hundredths


async def _read(client: cp.Client) -> None:
    async for _ in client.events():
        pass


async def _place(client: cp.Client, taken: list[float]) -> None:
    """A block of orders that take nothing and do not rest; adds the microseconds of each."""
    for _ in range(_BLOCK):
        start = time.perf_counter_ns()
        await client.place("BTC_USD", "buy", amount="0.01", price="100", time_in_force=cp.TimeInForce.IOC)
        taken.append((time.perf_counter_ns() - start) / 1000)
