"""A client in its own process, to be killed.

``python -m tests.support.client_process ALICE.PEM EXCHANGE.PUB FOLDER``. Each line on the standard input,
``url mode resend seed last silence tls``, starts one; see ``tests/support/lives.py``. What it does and is
told, it writes into ``FOLDER/log`` at once; which events it has handled, into a table, as *mode* says: ``plain`` into a
database of its own, ``transaction`` into the store's with ``store.transaction()``. With *last* it handles events up to
that one, places no orders and ends; 0 is for ever. A *mode* with ``+history`` at its end also keeps a history.
*silence*, in seconds, and *tls* are those of ``tests/support/pairs.py``, and may be left out.

The lines of the log, JSON lists whose first word says what it is, are read by ``tests/support/client_log.py``.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import ssl
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import cryptoproto as cp
from cryptoproto.client.order_ids import ClientOrderIds
from cryptoproto.client.outcomes import Kind
from cryptoproto.client.store.interface import OutboxEntry
from cryptoproto.transport import opener
from tests.support.lives import fork_for_each_line

TRADERS = 3
TIMEOUTS = (0.02, 10.0)
"""Too short for an exchange that has to start again, and long enough for it."""
HANDLED = "CREATE TABLE IF NOT EXISTS handled (number INTEGER PRIMARY KEY, transaction_id INTEGER, payload TEXT)"
INSERT = "INSERT INTO handled (transaction_id, payload) VALUES (?, ?)"


class LoggedStore(cp.SqliteStore):
    """Says what is durable for certain, and what is about to be."""

    say: Callable[..., None]
    last = 0
    is_done: asyncio.Event

    def open(self, client_id: str, server_fingerprint: str) -> None:
        super().open(client_id, server_fingerprint)
        late = [[number, *about(json.loads(report))] for number, report in self.late_reports()]
        self.say("started", [[entry.key, entry.kind, number_of(entry)] for entry in self.outbox()], late)

    def put(self, entry: OutboxEntry) -> int:
        key = super().put(entry)
        self.say("put", key, entry.kind, number_of(entry))
        return key

    def remove(self, key: int, settled_through: int) -> None:
        self.say("settling", key)
        super().remove(key, settled_through)
        self.say("settled", key)

    def put_late_report(self, report: bytes, key: int | None, settled_through: int) -> int:
        if key is not None:
            self.say("settling", key)
        number = super().put_late_report(report, key, settled_through)
        self.say("late", number, key, *about(json.loads(report)))
        return number

    def remove_late_report(self, key: int) -> None:
        super().remove_late_report(key)
        self.say("read", key)

    def advance(self, transaction_id: int) -> None:
        super().advance(transaction_id)
        if transaction_id >= self.last:
            self.is_done.set()

    def flush(self) -> None:
        super().flush()
        self.say("flushed", self.position)


def about(report: dict[str, Any]) -> tuple[str, int | None]:
    """What a late report is about, as it is stored."""
    return report["kind"], report.get("client_order_id" if report["kind"] == "place" else "order_id")


def number_of(entry: OutboxEntry) -> int | None:
    """The order that it is about: by client order id for an order, by order id for a cancel."""
    if entry.kind == "cancel":
        order_id: int = json.loads(entry.payload)["order_id"]
        return order_id
    return entry.client_order_id


class Victim:
    cancels_all = 0.1
    cancels = 0.5
    prepares = 0.4

    def __init__(self, folder: str, mode: str, seed: int) -> None:
        self.log = os.open(f"{folder}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.choice = random.Random(seed)
        self.ids = ClientOrderIds()
        self.mode, _, history = mode.partition("+")
        self.store = LoggedStore(f"{folder}/alice.db", commit_every=64, history=bool(history))
        self.store.say = self.say
        self.store.is_done = asyncio.Event()
        self.table = sqlite3.connect(f"{folder}/handled.db", isolation_level=None)
        self.table.execute("PRAGMA journal_mode = WAL")
        self.table.execute("PRAGMA synchronous = OFF")
        self.table.execute(HANDLED)

    def say(self, *words: Any) -> None:
        os.write(self.log, json.dumps(words).encode() + b"\n")

    async def run(
        self, url: str, key: cp.PrivateKey, server_key: cp.PublicKey, resend: Any, last: int, link: dict[str, Any]
    ) -> None:
        client = cp.Client(
            url,
            client_id="alice",
            private_key=key,
            server_key=server_key,
            store=self.store,
            protocol=self.choice.choice((cp.Protocol.V5, cp.Protocol.SIGNED)),
            backoff=cp.Backoff(initial=0.01, cap=0.05),
            resend=resend,
            keep_cancels_ready=self.choice.choice((0, 2)),
            **link,
        )
        await self.use(client, last)

    async def use(self, client: Any, last: int) -> None:
        """Trade, or with *last* handle events up to that one."""
        self.store.last = last
        reports = client.reports()
        events = client.events()
        async with client, asyncio.TaskGroup() as group:
            if self.mode == "transaction":
                with self.store.transaction() as db:
                    db.execute(HANDLED)
            group.create_task(self.read(reports))
            if last:
                group.create_task(self.finish(client))
            else:
                for _ in range(TRADERS):
                    group.create_task(self.trade(client))
            async for event in events:
                if event.transaction_id is not None:
                    await self.now_and_then()
                    self.handle(event.transaction_id, event.raw.decode())
                    await self.now_and_then()
        self.say("ended")

    async def finish(self, client: Any) -> None:
        """End when all that there will be is done with."""
        if (self.store.position or 0) < self.store.last:
            await self.store.is_done.wait()
        async for state in client.states():
            if state.state is cp.State.LIVE:
                break
        self.say("outbox", [entry.key for entry in self.store.outbox()])
        await client.close()

    async def now_and_then(self) -> None:
        """A handler that is slow at times: events wait behind it."""
        if not self.store.last and self.choice.random() < 0.02:
            await asyncio.sleep(self.choice.uniform(0.0, 0.02))

    def handle(self, transaction_id: int, payload: str) -> None:
        if self.mode == "plain":
            self.say("handling", transaction_id)
            self.table.execute(INSERT, (transaction_id, payload))
        else:
            with self.store.transaction() as db:
                db.execute(INSERT, (transaction_id, payload))

    async def read(self, reports: Any) -> None:
        async for report in reports:
            if isinstance(report, cp.OutcomeReport):
                number = report.client_order_id if report.kind is Kind.PLACE else report.order_id
                verdict = "done" if report.error is None else type(report.error).__name__
                self.say("reported", report.kind.value, number, verdict)

    async def trade(self, client: Any) -> None:
        while True:
            number = self.ids.next()
            is_rich = self.choice.random() < 0.15
            if is_rich:
                self.say("poor", number)
            order = await self.ask(
                "place",
                number,
                self.place(
                    client,
                    price=10**12 if is_rich else self.choice.randint(90, 110),
                    time_in_force=self.choice.choice((cp.TimeInForce.GTC, cp.TimeInForce.GTC, cp.TimeInForce.IOC)),
                    client_order_id=number,
                ),
            )
            if order is None:
                continue
            if self.choice.random() < self.cancels_all:
                await self.ask("cancel_all", None, client.cancel_all(timeout=self.choice.choice(TIMEOUTS)))
            elif self.choice.random() < 0.3 and not order.is_closed:
                await self.replace(client, order)
            elif self.choice.random() < self.cancels:
                timeout = self.choice.choice(TIMEOUTS)
                await self.ask("cancel", order.order_id, client.cancel(order, timeout=timeout, wait=True))

    async def place(self, client: Any, **terms: Any) -> cp.Order:
        """At once, or prepared, beside another one that is discarded."""
        timeout = self.choice.choice(TIMEOUTS)
        terms |= {"trade_pair": "BTC_USD", "side": cp.Side.BUY, "amount": "0.001"}
        order: cp.Order
        if self.choice.random() >= self.prepares:
            order = await client.place(**terms, timeout=timeout, wait=True)
            return order
        prepared = await client.prepare(**terms)
        discarded = await client.prepare(**terms | {"client_order_id": self.ids.next()})
        await asyncio.sleep(self.choice.uniform(0.0, 0.01))
        discarded.discard()
        order = await prepared.place(timeout=timeout, wait=True)
        return order

    async def replace(self, client: Any, order: cp.Order) -> None:
        """A cancel and an order, in the log as two calls."""
        number, old = self.ids.next(), order.order_id
        self.say("replacing", old, number)
        self.say("asking", "cancel", old)
        self.say("asking", "place", number)
        cancelled = placed = "done"
        try:
            await client.replace(
                order,
                price=self.choice.randint(90, 110),
                client_order_id=number,
                timeout=self.choice.choice(TIMEOUTS),
                wait=True,
            )
        except cp.ReplaceIncomplete as error:
            placed = type(error.__cause__).__name__
        except cp.OrderNotOpen:
            cancelled, placed = "OrderNotOpen", "RequestNotSent"
        except cp.CryptoprotoError as error:
            cancelled, placed = type(error).__name__, "RequestNotSent"
        self.say("told", "cancel", old, cancelled)
        self.say("told", "place", number, placed)

    async def ask(self, kind: str, number: int | None, call: Awaitable[Any]) -> Any:
        """What *call* returns, ``None`` where it raises; what it tells goes into the log."""
        self.say("asking", kind, number)
        try:
            result = await call
        except cp.CryptoprotoError as error:
            self.say("told", kind, number, type(error).__name__)
            return None
        self.say("told", kind, number, "OrderNotOpen" if result is False else "done")
        return result


def main() -> None:
    alice, exchange, folder = sys.argv[1:]
    key, server_key = cp.PrivateKey.load(alice), cp.PublicKey.load(exchange)
    opener("auto")  # imports what it needs

    async def live(
        url: str, mode: str, resend: str, seed: str, last: str, silence: str = "10", tls: str | None = None
    ) -> None:
        context = ssl.create_default_context(cafile=f"{tls}/certificate.pem") if tls else None
        link = {"ping_interval": float(silence) / 4, "ping_timeout": float(silence), "ssl": context}
        await Victim(folder, mode, int(seed)).run(url, key, server_key, resend, int(last), link)

    fork_for_each_line(live)


if __name__ == "__main__":
    main()
