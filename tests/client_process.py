"""A client in a process of its own, to be killed: ``python -m tests.client_process ALICE.PEM EXCHANGE.PUB FOLDER``.

Each line on the standard input, ``url mode seed last``, starts one, forked from a process that has already imported
everything. Its pid comes as a line of JSON, and another line when it has ended. What it is told, it writes into
``FOLDER/log`` at once; which events it has handled, into a table, as *mode* says: ``plain`` into a database of its
own, ``transaction`` into the store's with ``store.transaction()``. With *last* it handles events up to that one,
places no orders and ends; 0 is for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import cryptoproto as cp
from cryptoproto.client.order_ids import ClientOrderIds
from cryptoproto.transport import opener

TABLE = "CREATE TABLE IF NOT EXISTS handled (transaction_id INTEGER PRIMARY KEY)"


class LoggedStore(cp.SqliteStore):
    """Says which position is durable for certain."""

    say: Callable[..., None]
    last = 0
    is_done: asyncio.Event

    def advance(self, transaction_id: int) -> None:
        super().advance(transaction_id)
        if transaction_id == self.last:
            self.is_done.set()

    def flush(self) -> None:
        super().flush()
        self.say("flushed", self.position)


class Victim:
    def __init__(self, folder: str, mode: str, seed: int) -> None:
        self.log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.choice = random.Random(seed)
        self.ids = ClientOrderIds()
        self.mode = mode
        self.store = LoggedStore(f"{folder}/alice.db", commit_every=64)
        self.store.say = self.say
        self.store.is_done = asyncio.Event()
        self.table = sqlite3.connect(f"{folder}/handled.db", isolation_level=None)
        self.table.execute("PRAGMA journal_mode = WAL")
        self.table.execute("PRAGMA synchronous = OFF")
        self.table.execute("CREATE TABLE IF NOT EXISTS plainly (transaction_id INTEGER)")

    def say(self, *words: Any) -> None:
        os.write(self.log, json.dumps(words).encode() + b"\n")

    async def run(self, url: str, key: cp.PrivateKey, server_key: cp.PublicKey, last: int) -> None:
        client = cp.Client(
            url,
            client_id="alice",
            private_key=key,
            server_key=server_key,
            store=self.store,
            protocol=self.choice.choice((cp.Protocol.V5, cp.Protocol.SIGNED)),
            backoff=cp.Backoff(initial=0.01, cap=0.05),
            resend=self.choice.choice(("never", "once")),
        )
        self.store.last = last
        self.say("started", None)
        reports = client.reports()
        events = client.events()
        async with client, asyncio.TaskGroup() as group:
            if self.mode == "transaction":
                with self.store.transaction() as db:
                    db.execute(TABLE)
            group.create_task(self.read(reports))
            if not last:
                for _ in range(3):
                    group.create_task(self.trade(client))
            group.create_task(self.finish(client))
            async for event in events:
                if event.transaction_id is not None:
                    self.handle(event.transaction_id)
        self.say("ended", None)

    async def finish(self, client: cp.Client) -> None:
        """End when all that there will be is done with."""
        if self.store.position != self.store.last:
            await self.store.is_done.wait()
        async for state in client.states():
            if state.state is cp.State.LIVE:
                break
        outbox = self.store.outbox()
        self.say("outbox", [entry.client_order_id for entry in outbox])
        await client.close()

    def handle(self, transaction_id: int) -> None:
        if self.mode == "plain":
            self.say("handling", transaction_id)
            self.table.execute("INSERT INTO plainly VALUES (?)", (transaction_id,))
        else:
            with self.store.transaction() as db:
                db.execute("INSERT INTO handled VALUES (?)", (transaction_id,))

    async def read(self, reports: Any) -> None:
        async for report in reports:
            if isinstance(report, cp.OutcomeReport):
                self.tell("reported", report.client_order_id, report.error)

    def tell(self, what: str, number: int | None, error: BaseException | None) -> None:
        self.say(what, number, "accepted" if error is None else type(error).__name__)

    async def trade(self, client: cp.Client) -> None:
        while True:
            number = self.ids.next()
            rich = self.choice.random() < 0.15
            kind = self.choice.choice((cp.TimeInForce.GTC, cp.TimeInForce.GTC, cp.TimeInForce.IOC))
            self.say("poor" if rich else "placing", number)
            try:
                order = await client.place(
                    "BTC_USD",
                    cp.Side.BUY,
                    amount="0.001",
                    price=10**12 if rich else self.choice.randint(90, 110),
                    time_in_force=kind,
                    client_order_id=number,
                )
            except cp.CryptoprotoError as error:
                self.tell("told", number, error)
                continue
            self.tell("told", number, None)
            if self.choice.random() < 0.1:
                await self.cancel(client.cancel_all())
            elif self.choice.random() < 0.5:
                await self.cancel(client.cancel(order))

    async def cancel(self, cancelling: Any) -> None:
        with contextlib.suppress(cp.RequestNotSent, cp.OutcomeUnknown):
            await cancelling


def tell(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def main() -> None:
    alice, exchange, folder = sys.argv[1:]
    key, server_key = cp.PrivateKey.load(alice), cp.PublicKey.load(exchange)
    opener("auto")  # imports what it needs
    for line in sys.stdin:
        url, mode, seed, last = line.split()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                asyncio.run(Victim(folder, mode, int(seed)).run(url, key, server_key, int(last)), debug=False)
                code = 0
            finally:
                os._exit(code)
        tell({"pid": pid})
        _, status = os.waitpid(pid, 0)
        tell({"gone": os.waitstatus_to_exitcode(status)})


if __name__ == "__main__":
    main()
