"""Two clients that ask twice their rate limit of an exchange in another process, over real sockets.

``python -m tests.soak.rate_limit --minutes 60`` runs ``cryptoproto exchange`` with a rate limit. One client has nothing
but the exchange's throttling, the other has ``order_rate``, too. Calls begin on time, whatever became of those before.
It ends with an error if a connection is closed, or if less than four tenths of the calls are answered. ``RUNS`` names a
file for the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import cryptoproto as cp
from tests.support.client_log import scratch_folder
from tests.support.run_summary import record_run

RATE_LIMIT: Final = 10
ORDER_RATES: Final = {"alice": None, "bob": RATE_LIMIT}


@contextlib.asynccontextmanager
async def exchange_of(folder: Path, clients: list[str]) -> AsyncIterator[str]:
    """The address of an exchange in a process of its own; its public key is in ``exchange.pub`` of *folder*."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cryptoproto", "exchange", "--json", "--port", "0", "--market-data-port", "0",
        "--journal", str(folder / "exchange.db"), "--rate-limit", str(RATE_LIMIT),
        *(word for client_id in clients for word in ("--client", f"{client_id}={folder / client_id}.pub")),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())["url"]
    finally:
        process.terminate()
        await process.wait()


async def ask(client: cp.Client, minutes: float) -> Counter[str]:
    """Ask twice as often as the limit allows: what became of the calls, and how often the client has connected."""
    outcomes: Counter[str] = Counter()

    async def ask_once() -> None:
        try:
            await client.cancel(order_id=10**9, timeout=2.0)
            outcomes["answered"] += 1
        except cp.RequestNotSent:
            outcomes["not sent within its timeout"] += 1

    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(1, int(minutes * 60 * 2 * RATE_LIMIT) + 1):
            group.create_task(ask_once())
            await asyncio.sleep(begun + number / (2 * RATE_LIMIT) - loop.time())
    outcomes["connections"] = client.metrics().counters["connections"]
    return outcomes


async def run(minutes: float) -> dict[str, Counter[str]]:
    """Both clients at once."""
    keys = {client_id: cp.PrivateKey.generate() for client_id in ORDER_RATES}
    with scratch_folder() as folder:
        for client_id, key in keys.items():
            key.public_key.save(folder / f"{client_id}.pub")
        async with exchange_of(folder, list(keys)) as url, contextlib.AsyncExitStack() as stack:
            server_key = cp.PublicKey.load(folder / "exchange.pub")
            clients = [
                await stack.enter_async_context(
                    cp.Client(
                        url, client_id=client_id, private_key=key, server_key=server_key,
                        order_rate=ORDER_RATES[client_id],
                    )
                )
                for client_id, key in keys.items()
            ]  # fmt: skip
            outcomes = await asyncio.gather(*(ask(client, minutes) for client in clients))
            return dict(zip(keys, outcomes, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.rate_limit", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="how long to run (default: 60)")
    minutes = parser.parse_args().minutes
    begun = time.monotonic()
    for client_id, counts in asyncio.run(run(minutes)).items():
        name = f"twice the rate limit on real sockets, order_rate={ORDER_RATES[client_id]}"
        sys.stdout.write(f"{name}: {dict(counts)}\n")
        calls = counts.total() - counts["connections"]
        if counts["connections"] != 1 or counts["answered"] < 0.4 * calls:
            sys.exit("a connection was closed, or too few calls were answered")
        record_run(name, seconds=time.monotonic() - begun, counts=counts)


if __name__ == "__main__":
    main()
