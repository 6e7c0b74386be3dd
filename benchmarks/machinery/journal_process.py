"""The processes of the journal's rows.

``python -m benchmarks.machinery.journal_process exchange KEY PATH|-`` serves until its standard input is closed.
``… fill PATH EVENTS COMMANDS`` writes a journal, and ``… restart PATH`` starts an exchange from it; both then kill
themselves, so that the journal is as a crash leaves it. ``exchange`` and ``restart`` print one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.commands import Command, Register, Submit
from cryptoproto.exchange.journal import open_journal

from .runtime import run

__all__ = ["main"]

_FUNDS = {"USD": "1000000000", "BTC": "1000000"}
# All orders of journal-orders stay open, and the list of them has to fit a message.
_MOST_ORDERS = 20_000
_MESSAGE_BYTES = 2**22


async def _serve(key_path: str, path: str) -> None:
    async with Exchange(
        path=None if path == "-" else path, max_open_orders=_MOST_ORDERS, max_message_size=_MESSAGE_BYTES
    ) as exchange:
        exchange.register("alice", cp.PublicKey.load(key_path), balances=_FUNDS)
        _print({"url": exchange.url, "public_key": exchange.public_key.to_pem().decode()})
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _fill(path: str, events: str, commands: str) -> None:
    """Write *events* at least, the last *commands* at least without a snapshot behind them; then crash."""
    choice = random.Random(events)
    key = cp.PrivateKey.generate().public_key
    journal = open_journal(path)
    journal.start(lambda error: sys.exit(str(error)))
    engine = journal.engine

    def append(command: Command, client_id: str, **more: Any) -> None:
        journal.append(command, engine.apply(command), client_id=client_id, **more)

    clients = [f"client-{number}" for number in range(20)]
    now_us = time.time_ns() // 1000
    for client in clients:
        append(Register(client, dict(_FUNDS), now_us), client, public_key=key)
    number = 0
    while journal.last_transaction_id < int(events) or journal.since_snapshot < int(commands):
        number += 1
        now_us += 1000
        client = choice.choice(clients)
        append(Submit(client, _random_order(choice, number), now_us), client, sequence=number)
        if number % 500 == 0:
            await journal.flush()
    await journal.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def _random_order(choice: random.Random, number: int) -> Any:
    """Mostly orders that match others; few rest for long."""
    dice = choice.random()
    if dice < 0.02:
        return cp.CancelAllOrders()
    kind = cp.PlaceBuyLimitOrder if dice < 0.5 else cp.PlaceSellLimitOrder
    return kind(
        trade_pair="BTC_USD",
        amount=f"0.{choice.randint(1, 99):02}",
        price=str(15000 + choice.randint(-20, 20)),
        client_order_id=number,
    )


async def _restart(path: str) -> None:
    start = time.perf_counter()
    exchange = Exchange(path=path)
    await exchange.start()
    seconds = time.perf_counter() - start
    journal = exchange.venue.ledger
    _print(
        {
            "seconds": seconds,
            "events": getattr(journal, "last_transaction_id", 0),
            "again": getattr(journal, "since_snapshot", 0),
        }
    )
    os.kill(os.getpid(), signal.SIGKILL)  # a clean end would write a snapshot, which changes the next round


def _print(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


_PARTS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {"exchange": _serve, "fill": _fill, "restart": _restart}


def main(part: str, *arguments: str) -> None:
    run(_PARTS[part](*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
