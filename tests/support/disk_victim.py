"""A store and a journal on a disk that fails at any call.

``python -m tests.support.disk_victim WHAT FOLDER ORDER FAULT EVERY``; *WHAT* is ``store NORMAL``, ``store FULL`` or
``journal``. The fault strikes at the first call to the disk, then in a new file *EVERY* calls later, and so on until a
file is finished before that. Everything is checked here; the standard output tells how much was done.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cryptoproto as cp
from cryptoproto.client.store.interface import OutboxEntry
from cryptoproto.exchange import Exchange
from cryptoproto.messages import PlaceBuyLimitOrder, encode
from tests.support.faulty_disk import DiskFault, FaultyDisk

STEPS = 24
OWNER = ("alice", "fingerprint")


def check_words(error: Exception, start: str) -> None:
    """It says which file it is about, and what is wrong, in the words of SQLite or, for a log, of the system."""
    by_sqlite = (f"{start}: database or disk is full", f"{start}: disk I/O error")
    by_system = (f"{start}-outbox: No space left on device", f"{start}-outbox: Input/output error")
    assert str(error) in by_sqlite + by_system, error


class StoreModel:
    """A store, and what has to be in it."""

    def __init__(self, path: Path, synchronous: Any) -> None:
        self.path = path
        self.store = cp.SqliteStore(path, synchronous=synchronous)
        self.store.open(*OWNER)
        self.outbox: dict[int, bytes] = {}
        self.reports: dict[int, bytes] = {}
        self.position = 0
        self.number = 0

    def step(self, choice: random.Random) -> None:
        """One change. Where it fails, the model stays as it is."""
        self.number += 1
        payload = b"%d" % self.number
        what = choice.choice(("put", "put", "remove", "report", "flush", "transaction"))
        key = choice.choice(list(self.outbox)) if self.outbox else None
        if what == "put" or key is None:
            entry = OutboxEntry(kind="cancel", payload=payload, created_ns=1)
            self.outbox[self.store.put(entry)] = payload
        elif what == "remove":
            self.store.remove(key, self.number)
            del self.outbox[key]
        elif what == "report":
            self.reports[self.store.put_late_report(payload, key, self.number)] = payload
            del self.outbox[key]
        else:
            self.store.advance(self.number)
            if what == "flush":
                self.store.flush()
            else:
                with self.store.transaction() as db:
                    db.execute("CREATE TABLE IF NOT EXISTS users (number INTEGER)")
            self.position = self.number

    def found(self, store: cp.SqliteStore) -> tuple[dict[int, bytes], dict[int, bytes]]:
        return {entry.key or 0: entry.payload for entry in store.outbox()}, dict(store.late_reports())

    def check(self) -> None:
        assert self.found(self.store) == (self.outbox, self.reports)

    def check_crash(self, folder: Path) -> None:
        """What a crash would leave now holds everything that has returned; what has failed may be there, whole."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in self.path.parent.glob(f"{self.path.name}*"):
            shutil.copy(file, folder)
        store = cp.SqliteStore(folder / self.path.name)
        store.open(*OWNER)
        outbox, reports = self.found(store)
        missing = self.outbox.keys() - outbox.keys()
        extra = (outbox.keys() - self.outbox.keys()) | (reports.keys() - self.reports.keys())
        assert len(missing) <= 1, "more was lost than the change that failed"
        assert len(extra) <= 1
        assert not missing or extra or len(reports) == len(self.reports)
        assert (store.position or 0) >= self.position
        store.close()


def store_world(synchronous: str) -> Callable[[Path, Path, FaultyDisk, DiskFault, int], Counter[str]]:
    def world(folder: Path, copies: Path, disk: FaultyDisk, fault: DiskFault, after: int) -> Counter[str]:
        model = StoreModel(folder / f"{after}.db", synchronous)
        choice = random.Random(after)
        counts: Counter[str] = Counter()
        disk.order(fault, after)
        for number in range(STEPS):
            if number == 2 * STEPS // 3:
                counts["failed calls"] += disk.repair()
            try:
                with suppress(sqlite3.Error):  # the statements of a transaction raise it as it is
                    model.step(choice)
            except cp.StoreError as error:
                counts["errors"] += 1
                check_words(error, f"cannot write to {model.path}")
                model.check_crash(copies)
        model.check()
        model.store.close()
        again = cp.SqliteStore(model.path)
        again.open(*OWNER)
        assert model.found(again) == (model.outbox, model.reports)
        assert (again.position or 0) >= model.position
        again.close()
        return counts

    return world


KEY = cp.PrivateKey.generate()
EXCHANGE_KEY = cp.PrivateKey.generate()


def journal_world(folder: Path, copies: Path, disk: FaultyDisk, fault: DiskFault, after: int) -> Counter[str]:
    """Orders to an exchange that is not started: each is durable when its call returns."""
    path = folder / f"{after}.db"
    exchange = Exchange(path=path, private_key=EXCHANGE_KEY)
    exchange.register("alice", KEY.public_key, {"USD": "1000000"})
    counts: Counter[str] = Counter()
    disk.order(fault, after)
    durable = failed = 0
    for sequence in range(1, STEPS):
        order = PlaceBuyLimitOrder("BTC_USD", "1", str(100 + sequence), client_order_id=sequence)
        try:
            exchange.venue.submit("alice", sequence, encode(order))
        except cp.JournalError as error:
            counts["errors"] += 1
            check_words(error, f"{path}: the journal cannot be written, and the exchange stops")
            failed += 1
        else:
            assert not failed, "an exchange whose journal failed has taken an order"
            durable = sequence
    with suppress(cp.JournalError):
        asyncio.run(exchange.close())
    counts["failed calls"] += disk.repair()
    again = Exchange(path=path)  # checks all that is recorded
    record = again.venue.client("alice")
    assert record is not None
    # What has failed may be there, whole, where only the sync did: nobody was told, and the next handshake says so.
    assert durable <= record.last_sequence <= durable + (1 if failed else 0)
    books = again.open_orders("alice").order_books
    placed = sorted(order.client_order_id or 0 for order in books["BTC_USD"].buy) if books else []
    assert placed == list(range(1, record.last_sequence + 1))
    sequence = record.last_sequence + 1
    assert again.venue.submit("alice", sequence, encode(PlaceBuyLimitOrder("BTC_USD", "1", "1"))) is None
    asyncio.run(again.close())
    return counts


def main() -> None:
    *what, folder, order, fault, every = sys.argv[1:]
    world = journal_world if what == ["journal"] else store_world(what[1])
    disk = FaultyDisk(order)
    (copies := Path(f"{folder}-copies")).mkdir()
    total: Counter[str] = Counter()
    for after in range(0, 10_000, int(every)):
        counts = world(Path(folder), copies / "copy", disk, DiskFault[fault], after)
        total += counts
        total["files"] += 1
        if not counts["failed calls"]:
            break
    print(json.dumps(total))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
