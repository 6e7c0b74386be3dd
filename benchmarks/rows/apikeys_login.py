"""How long a login takes, and how long it blocks the event loop; client and gateway share one process."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Final

from cryptoproto import PrivateKey
from cryptoproto.apikeys import SessionAuth

from ..machinery.effort import Effort
from ..machinery.gateway import API_KEY, gateway
from ..machinery.report import Row
from ..machinery.runtime import run

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 9


def rows(effort: Effort) -> list[Row]:
    """The medians of all logins."""
    logins = run(_measure(effort.rounds))
    took = statistics.median(each for each, _ in logins)
    stall = statistics.median(longest for _, longest in logins)
    return [
        Row.absolute("apikeys-login", "login, client and gateway in one process", took * 1e3, unit="ms"),
        Row.absolute("apikeys-login-stall", "longest stall of the event loop meanwhile", stall * 1e3, unit="ms"),
    ]


async def _measure(logins: int) -> list[tuple[float, float]]:
    key = PrivateKey.generate()
    async with gateway(key) as url:
        return [await _log_in(url, key) for _ in range(logins)]


async def _log_in(url: str, key: PrivateKey) -> tuple[float, float]:
    """Seconds of a login, and of the longest stall of the event loop during it."""
    longest = 0.0
    done = False

    async def watch() -> None:
        nonlocal longest
        last = time.perf_counter()
        while not done:
            await asyncio.sleep(0)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now

    watching = asyncio.create_task(watch())
    start = time.perf_counter()
    auth = await SessionAuth.login(url, API_KEY, key)
    took = time.perf_counter() - start
    done = True
    await watching
    await auth.close()
    return took, longest
