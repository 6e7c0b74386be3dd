"""Two clients trade at an exchange in another process, through a proxy that resets their connections now and then.

``python -m tests.soak --minutes 60 --out docs/runs/soak`` writes a line with the figures to ``docs/runs/soak.jsonl``,
and the plot to ``docs/runs/soak.svg``. Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import cryptoproto as cp
from tests.soak.bots import follow, trade
from tests.soak.plot import draw
from tests.soak.samples import Series, handles, memory_mib
from tests.support.client_log import scratch_folder
from tests.support.fault_proxy import Fault, FaultProxy
from tests.support.lives import Lives
from tests.support.pairs import kept_port
from tests.support.run_summary import machine, record_run

SAMPLES: Final = 600
RESET_EVERY_S: Final = 15.0
PAUSE_S: Final = 0.02


class Soak:
    """What runs, and what is measured of it."""

    def __init__(self, exchange_pid: int) -> None:
        self.counts: Counter[str] = Counter()
        self._exchange_pid = exchange_pid
        self._begun = time.monotonic()
        self.series = [
            Series("memory of the clients' process", "MiB"),
            Series("memory of the exchange's process", "MiB"),
            Series("tasks in the clients' process", ""),
            Series("files and sockets of the clients' process", ""),
            Series("files and sockets of the exchange's process", ""),
        ]

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def sample(self) -> None:
        """Take one sample of everything."""
        pid = self._exchange_pid
        values = (memory_mib(), memory_mib(pid), len(asyncio.all_tasks()), handles(), handles(pid))
        for series, value in zip(self.series, values, strict=True):
            series.add(self.seconds, value)

    async def watch(self, seconds: float) -> None:
        """Sample until the end."""
        while self.seconds < seconds:
            self.sample()
            await asyncio.sleep(min(seconds / SAMPLES, seconds - self.seconds))
        self.sample()

    async def disturb(self, proxy: FaultProxy) -> None:
        """Reset a connection now and then."""
        while True:
            await asyncio.sleep(RESET_EVERY_S)
            fault = Fault("reset", "down", 0)
            proxy.arm(fault)
            await fault.struck.wait()
            self.counts["connections that were reset"] += 1


@contextlib.asynccontextmanager
async def exchange_of(
    folder: Path, keys: dict[str, cp.PrivateKey], port: int
) -> AsyncIterator[tuple[int, cp.PublicKey]]:
    """An exchange in a process of its own: its pid and its key."""
    for client_id, key in keys.items():
        key.public_key.save(folder / f"{client_id}.pub")
    files = [folder / name for name in ("exchange.db", "alice.pub", "bob.pub")]
    async with Lives.of("tests.support.exchange_process", *files) as exchange:
        await exchange.begin(port, 0, 10.0, "")
        key_text = (await exchange.told())["public_key"]
        assert exchange.pid is not None
        yield exchange.pid, cp.PublicKey.from_pem(key_text.encode())


async def run(minutes: float) -> Soak:
    """A soak of so many minutes."""
    keys = {client_id: cp.PrivateKey.generate() for client_id in ("alice", "bob")}
    with scratch_folder() as folder, kept_port() as port:
        async with exchange_of(folder, keys, port) as (pid, server_key), FaultProxy.to(port) as proxy:
            soak = Soak(pid)

            def client(client_id: str) -> cp.Client:
                return cp.Client(
                    f"ws://127.0.0.1:{proxy.port}",
                    client_id=client_id,
                    private_key=keys[client_id],
                    server_key=server_key,
                    store=cp.SqliteStore(folder / f"{client_id}.db", history=client_id == "alice"),
                    protocol=cp.Protocol.SIGNED if client_id == "alice" else cp.Protocol.V5,
                )

            async with client("alice") as alice, client("bob") as bob:
                tasks = [
                    asyncio.create_task(each)
                    for each in (
                        trade(alice, bob, soak.counts, PAUSE_S),
                        follow(alice, soak.counts, "alice"),
                        follow(bob, soak.counts, "bob"),
                        soak.disturb(proxy),
                    )
                ]
                watching = asyncio.create_task(soak.watch(minutes * 60))
                done, _ = await asyncio.wait([watching, *tasks], return_when=asyncio.FIRST_COMPLETED)
                for task in [watching, *tasks]:
                    task.cancel()
                await asyncio.gather(watching, *tasks, return_exceptions=True)
                for task in done:
                    task.result()
                assert watching in done, "a bot has ended"
            return soak


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long to run (default: 60)")
    parser.add_argument("--out", type=Path, default=Path("docs/runs/soak"), help="the files, without their endings")
    arguments = parser.parse_args()
    soak = asyncio.run(run(arguments.minutes))
    minutes = soak.seconds / 60
    draw(arguments.out.with_suffix(".svg"), soak.series, f"Soak of {minutes:.1f} minutes, {machine()}")
    figures = {series.name: series.as_dict() for series in soak.series}
    os.environ["RUNS"] = str(arguments.out.with_suffix(".jsonl"))
    record_run("soak", seconds=soak.seconds, counts={**soak.counts, **figures})
    for name, figure in figures.items():
        sys.stdout.write(f"{name}: {figure}\n")


if __name__ == "__main__":
    main()
