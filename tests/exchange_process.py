"""An exchange in a process of its own, to be killed: ``python -m tests.exchange_process JOURNAL ALICE.PUB BOB.PUB``.

Each line on the standard input starts one, forked from a process that has already imported everything. Its address
comes as a line of JSON, and another one when it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from typing import Any

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.journal import open_journal
from cryptoproto.transport import opener

FUNDS = {"alice": {"USD": "100000", "BTC": "50"}, "bob": {"USD": "50000", "BTC": "100"}}
SNAPSHOT_EVERY = 150


def tell(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


async def serve(path: str, keys: dict[str, cp.PublicKey]) -> None:
    async with Exchange(path=path) as exchange:
        for client_id, key in keys.items():
            exchange.register(client_id, key, balances=FUNDS[client_id])
        tell({"pid": os.getpid(), "url": exchange.url, "public_key": exchange.public_key.to_pem().decode()})
        await asyncio.Event().wait()


def main() -> None:
    path, alice, bob = sys.argv[1:]
    keys = {"alice": cp.PublicKey.load(alice), "bob": cp.PublicKey.load(bob)}
    if open_journal.__kwdefaults__ is not None:
        open_journal.__kwdefaults__["snapshot_every"] = SNAPSHOT_EVERY
    opener("auto")  # imports what it needs
    for _ in sys.stdin:
        pid = os.fork()
        if not pid:
            with contextlib.suppress(KeyboardInterrupt):
                asyncio.run(serve(path, keys), debug=False)
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        tell({"gone": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
