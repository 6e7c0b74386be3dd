"""The embedded exchange: how long a restart takes as its journal grows, and a client's replay of its history."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import cryptoproto as cp

from ..machinery.curve import Curve, Drawing, Series
from ..machinery.effort import Effort
from ..machinery.journals import PROCESS, journal_folder, run_and_die
from ..machinery.processes import running
from ..machinery.runtime import run

__all__ = ["drawings"]

_JOURNALED: Final = (1_000, 10_000, 100_000, 1_000_000)
_REPLAYED: Final = (100, 1_000, 10_000, 50_000)
_ROUNDS: Final = 3


def drawings(effort: Effort) -> list[Drawing]:
    """Seconds of a restart; microseconds of a replayed event."""
    return [_restart(effort), _replay(effort)]


def _restart(effort: Effort) -> Curve:
    points = []
    with journal_folder() as folder:
        for wanted in effort.some(_JOURNALED):
            events = effort.scaled(wanted)
            path = str(folder / f"{wanted}.db")
            run_and_die("fill", path, str(events), "0")
            seconds = [run_and_die("restart", path)["seconds"] for _ in range(effort.repeated(_ROUNDS))]
            points.append((float(wanted), statistics.median(seconds)))
    return Curve(
        "journal-length",
        "Restart of an exchange against the events in its journal",
        "The exchange was killed; a new process opens the journal, checks the chain of its events and applies what "
        "came after the last snapshot.",
        "events in the journal",
        "seconds until it can be used",
        [Series("cryptoproto.exchange", "ours", points)],
    )


def _replay(effort: Effort) -> Curve:
    with TemporaryDirectory(prefix="cryptoproto-bench-") as name:
        key = cp.PrivateKey.generate()
        key.public_key.save(Path(name) / "client.pub")
        with running(PROCESS, "exchange", f"{name}/client.pub", "-") as exchange:
            points = run(_measure_replays(effort, exchange, key))
    return Curve(
        "history-replayed",
        "Time of a replayed event against the events that are replayed",
        "A client connects with an older position. From the call of connect() to the last event; with few events, the "
        "handshake is most of it.",
        "events replayed",
        "time of an event, µs",
        [Series("cryptoproto and its exchange", "ours", points)],
    )


async def _measure_replays(effort: Effort, exchange: dict[str, str], key: cp.PrivateKey) -> list[tuple[float, float]]:
    def link(position: int) -> cp.connect:
        return cp.connect(
            exchange["url"],
            client_id="alice",
            private_key=key,
            server_key=cp.PublicKey.from_pem(exchange["public_key"].encode()),
            protocol=cp.Protocol.V5,
            resume_from=position,
        )

    last = 0
    async with link(0) as connection:
        number = 0
        while last < effort.scaled(max(_REPLAYED)):
            number += 1
            await connection.send(cp.PlaceBuyIoCOrder("BTC_USD", "0.01", "1", number))
            last = _id(await anext(connection))
        await connection.request(cp.UserBalanceRequest())
        last += connection.queued
    points = []
    for wanted in _REPLAYED:
        count = min(wanted, last)
        times = []
        for _ in range(effort.repeated(_ROUNDS)):
            start = time.perf_counter()
            async with link(last - count) as connection:
                while _id(await anext(connection)) < last:
                    pass
                times.append((time.perf_counter() - start) / count * 1e6)
        points.append((float(wanted), statistics.median(times)))
    return points


def _id(event: cp.Event) -> int:
    return event.transaction_id or 0
