"""What a flood of handshakes costs a connected trader: the round trip of a request during it, against before it.

The exchange runs in one process, the flood comes from another, and the trader is this process. A fair number needs
three idle cores.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cryptoproto as cp

from ..machinery.effort import Effort
from ..machinery.measure import Pair
from ..machinery.processes import running
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 3

_PROCESS: Final = "benchmarks.machinery.handshake_process"
_HELLOS_PER_S: Final = 572  # more than one core decrypts, which takes about 2 ms each
_LIMIT_PER_S: Final = 50  # the default of ``Exchange``
_PAUSE_S: Final = 0.002


def rows(effort: Effort) -> list[Row]:
    """The medians with the default limit of handshakes for each address, and without a limit."""
    requests = effort.scaled(2000)
    title = f"round trip of a request during {_HELLOS_PER_S} hellos/s, against before"
    limits = {"handshakes": str(_LIMIT_PER_S), "handshakes-unlimited": "none"}
    pairs: dict[str, list[Pair]] = {name: [] for name in limits}
    with TemporaryDirectory(prefix="cryptoproto-bench-") as folder:
        for _ in range(effort.rounds):
            for name, limit in limits.items():
                pairs[name].append(_measure(Path(folder), limit, requests))
    return [
        Row.from_pairs("handshakes", title, pairs["handshakes"], unit="us"),
        Row.from_pairs(
            "handshakes-unlimited", "the same without a limit of handshakes", pairs["handshakes-unlimited"], unit="us"
        ),
    ]


def _measure(folder: Path, limit: str, requests: int) -> Pair:
    """The median round trips in microseconds, during the flood and before it."""
    key = cp.PrivateKey.generate()
    key.public_key.save(folder / "client.pub", overwrite=True)
    with running(_PROCESS, "exchange", str(folder / "client.pub"), limit) as exchange:
        server_key = cp.PublicKey.from_pem(exchange["public_key"].encode())
        server_key.save(folder / "exchange.pub", overwrite=True)
        return run(_compare(exchange["url"], key, server_key, str(folder / "exchange.pub"), requests))


async def _compare(url: str, key: cp.PrivateKey, server_key: cp.PublicKey, key_path: str, requests: int) -> Pair:
    async with cp.connect(url, client_id="alice", private_key=key, server_key=server_key) as connection:
        quiet = await _median_us(connection, requests)
        with running(_PROCESS, "flood", url, key_path, str(_HELLOS_PER_S)):
            flooded = await _median_us(connection, requests)
    return flooded, quiet


async def _median_us(connection: cp.Connection, requests: int) -> float:
    times: list[float] = []
    for _ in range(requests):
        start = time.perf_counter()
        await connection.request(cp.UserBalanceRequest())
        times.append(time.perf_counter() - start)
        await asyncio.sleep(_PAUSE_S)
    return statistics.median(times) * 1e6
