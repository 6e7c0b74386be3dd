"""What the journal's tests share: a venue on a journal, copies of it as a crash would leave them, and its contents."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

import cryptoproto as cp
from cryptoproto.exchange.commands import Command, Private, Refused, Register, Submit
from cryptoproto.exchange.engine import Engine
from cryptoproto.exchange.journal import Journal, open_journal
from cryptoproto.exchange.ledger import Ledger, MemoryLedger
from cryptoproto.exchange.venue import Venue
from tests.support.scenarios import CLIENTS, PAIRS, Scenario


class Played:
    """A venue that takes commands with their own times, so that two of them can be given the same."""

    def __init__(self, engine: Engine, ledger: Ledger, keys: Mapping[str, cp.PublicKey]) -> None:
        self.now_us = 0
        self.keys = keys
        self.venue = Venue(
            engine, ledger, lambda: self.now_us * 1000, on_private=lambda _: None, on_public=lambda *_: None
        )

    def give(self, command: Command) -> None:
        self.now_us = command.time_us
        if isinstance(command, Register):
            self.venue.register(command.client_id, self.keys[command.client_id], command.balances)
        elif isinstance(command, Submit):
            record = self.venue.client(command.client_id)
            assert record is not None
            sequence = record.last_sequence + 1
            self.venue.submit(command.client_id, sequence, msgspec.json.encode(command.message))
        else:
            with suppress(cp.ConfigurationError):
                self.venue.operate(command)

    def undecodable(self, client_id: str) -> None:
        record = self.venue.client(client_id)
        assert record is not None
        self.venue.submit(client_id, record.last_sequence + 1, b"{nonsense")


def in_memory(keys: Mapping[str, cp.PublicKey], **options: Any) -> Played:
    return Played(Engine(**options), MemoryLedger(), keys)


def journaled(journal: Journal, keys: Mapping[str, cp.PublicKey]) -> Played:
    return Played(journal.engine, journal, keys)


def reopened(path: Path) -> Journal:
    return open_journal(path)


def crash_copy(path: Path, folder: Path, *, log_bytes: int | None = None) -> Path:
    """The files as they are on disk now, the log cut after *log_bytes*: what a crash at this moment leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    for leftover in folder.glob(f"{path.name}*"):
        leftover.unlink()
    shutil.copy(path, target)
    log = Path(f"{path}-wal")
    if log.exists():
        raw = log.read_bytes()
        Path(f"{target}-wal").write_bytes(raw if log_bytes is None else raw[:log_bytes])
    return target


def state(venue: Venue, clients: tuple[str, ...]) -> tuple[Any, ...]:
    """All that must survive but the histories: the engine, whole, and the last sequence of each client."""
    sequences = {client: record.last_sequence for client in clients if (record := venue.client(client)) is not None}
    return venue.engine.snapshot(), sequences


def recorded(path: Path, client_id: str, after: int = 0) -> list[tuple[int, float, bytes]]:
    """A client's transactions as the journal has them, read without any code of ours."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT transaction_id, time_us, payload FROM events JOIN clients USING (client) "
            "WHERE client_id = ? AND transaction_id > ? ORDER BY transaction_id",
            (client_id, after),
        ).fetchall()
    return [(transaction_id, time_us / 1_000_000, payload.encode()) for transaction_id, time_us, payload in rows]


def remembered(venue: Venue, client_id: str) -> list[tuple[int, float, bytes]]:
    """A client's transactions as a ledger in memory has them."""
    record = venue.client(client_id)
    return [] if record is None else [(t.transaction_id, t.timestamp, t.payload) for t in record.history]


def total_of(registered: Mapping[str, Mapping[str, str]]) -> dict[str, Decimal]:
    totals: dict[str, Decimal] = {}
    for balances in registered.values():
        for currency, amount in balances.items():
            totals[currency] = totals.get(currency, Decimal(0)) + Decimal(amount)
    return totals


def begin(path: Path, played: Scenario, key: cp.PrivateKey, snapshot_every: int) -> Journal:
    return open_journal(
        path,
        private_key=key,
        trade_pairs=PAIRS,
        maker_fee=played.maker_fee,
        taker_fee=played.taker_fee,
        snapshot_every=snapshot_every,
    )


def model(played: Scenario, keys: dict[str, cp.PublicKey]) -> Played:
    return in_memory(keys, trade_pairs=PAIRS, maker_fee=played.maker_fee, taker_fee=played.taker_fee)


def both(one: Played, other: Played, played: Scenario, choice: random.Random) -> Iterator[int]:
    """Give both every command, and now and then a message that is none."""
    for index, command in enumerate(played.commands):
        garbage = index > len(CLIENTS) and choice.random() < 0.1
        for venue in (one, other):
            if garbage:
                venue.undecodable(CLIENTS[index % len(CLIENTS)])
            venue.give(command)
        yield index


def check(copy: Path, expected: Played) -> None:
    """What is in *copy* is what *expected* remembers, and goes on the same way."""
    for client in CLIENTS:
        assert recorded(copy, client) == remembered(expected.venue, client)
    journal = reopened(copy)
    try:
        again = journaled(journal, expected.keys)
        assert state(again.venue, CLIENTS) == state(expected.venue, CLIENTS)
    finally:
        journal.close()


__all__ = [
    "Played",
    "Private",
    "Refused",
    "begin",
    "both",
    "check",
    "crash_copy",
    "in_memory",
    "journaled",
    "model",
    "recorded",
    "remembered",
    "reopened",
    "state",
    "total_of",
]
