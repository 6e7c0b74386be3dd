"""An exchange in memory, with the clients alice and bob, for rows that need a real one.

``python -m benchmarks.machinery.exchange_process FOLDER`` reads their public keys from FOLDER, writes the exchange's
there, prints its address as one line of JSON, and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

import cryptoproto as cp
from cryptoproto.exchange import Exchange

from .runtime import run

__all__ = ["main"]

_FUNDS: Final = {"USD": "1000000000", "BTC": "1000000"}


async def _serve(folder: str) -> None:
    async with Exchange(max_open_orders=5_000) as exchange:
        for client_id in ("alice", "bob"):
            exchange.register(client_id, cp.PublicKey.load(f"{folder}/{client_id}.pub"), balances=_FUNDS)
        exchange.public_key.save(f"{folder}/exchange.pub")
        print(json.dumps({"url": exchange.url}), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def main(folder: str) -> None:
    run(_serve(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
