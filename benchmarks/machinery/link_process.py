"""The process of the row about links at rest.

``python -m benchmarks.machinery.link_process KEY CLIENTS TRANSPORT`` serves that many clients, who share one key. For
each line on its standard input it prints how much memory it holds and how many clients are connected, until the input
is closed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from typing import Any

import cryptoproto as cp
from cryptoproto.exchange import Exchange

from .file_handles import allow_many_files
from .resident import resident_kib
from .runtime import run

__all__ = ["main"]


async def _serve(key_path: str, clients: int, transport: Any) -> None:
    key = cp.PublicKey.load(key_path)
    async with Exchange(handshake_rate=None, transport=transport) as exchange:
        for number in range(clients):
            exchange.register(f"client-{number}", key, {"USD": "1000"})
        _print({"url": exchange.url, "public_key": exchange.public_key.to_pem().decode()})
        while await asyncio.to_thread(sys.stdin.readline):
            gc.collect()
            _print({"kib": resident_kib(), "connected": len(exchange.connected_clients)})


def _print(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main(key_path: str, clients: str, transport: str) -> None:
    allow_many_files()
    run(_serve(key_path, int(clients), transport))


if __name__ == "__main__":
    main(*sys.argv[1:])
