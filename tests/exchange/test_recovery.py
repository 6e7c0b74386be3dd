"""Recovery from a damaged journal: refused with the reason, or read from an older snapshot."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange.journal import Journal, open_journal
from tests.support.journals import Played, crash_copy, in_memory, journaled, recorded, remembered, reopened, state
from tests.support.scenarios import CLIENTS, PAIRS, Scenario, scenario


@pytest.fixture(scope="module")
def keys(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> dict[str, cp.PublicKey]:
    return dict(zip(CLIENTS, (alice_key.public_key, bob_key.public_key, exchange_key.public_key), strict=True))


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exchange.db"


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


def damaged(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()


@pytest.fixture(scope="module")
def template(
    keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A journal of a hundred commands, as a crash leaves it; only the first snapshot is in it."""
    folder = tmp_path_factory.mktemp("template")
    played = scenario(random.Random(3), 100, tiny=False)
    journal = begin(folder / "exchange.db", played, exchange_key, 10_000)
    one = journaled(journal, keys)
    for command in played.commands:
        one.give(command)
    copy = crash_copy(folder / "exchange.db", folder / "filled")
    journal.close()
    return copy


@pytest.fixture
def filled(template: Path, tmp_path: Path) -> Path:
    """A copy of the template to damage."""
    return crash_copy(template, tmp_path / "filled")


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE commands SET command = replace(command, \'"amount":"0\', \'"amount":"1\') WHERE number > 20',
        "UPDATE commands SET sequence = sequence + 1 WHERE number = 50",
        "UPDATE commands SET client = 3 - client WHERE number = 50",
        "UPDATE commands SET command = 'nonsense' WHERE number = 50",
        "UPDATE commands SET command = NULL WHERE number = 50",
        "UPDATE commands SET checksum = checksum + 1 WHERE number = 50",
        "DELETE FROM commands WHERE number = 50",
        "DELETE FROM commands WHERE number > 50",
        "DELETE FROM commands WHERE number = 1",
        "UPDATE events SET payload = replace(payload, '1', '2') WHERE transaction_id = 40",
        "UPDATE events SET time_us = time_us + 1 WHERE transaction_id = 40",
        "UPDATE events SET client = 4 - client WHERE transaction_id = 40",
        "DELETE FROM events WHERE transaction_id = 40",
        "UPDATE snapshots SET engine = x'00'",
        "UPDATE snapshots SET sequences = '{\"alice\":7}'",
        "DELETE FROM snapshots",
        "DELETE FROM clients WHERE client_id = 'bob'",
        "UPDATE clients SET public_key = 'x'",
        "UPDATE clients SET client_id = 'bab' WHERE client_id = 'bob'",
        "DELETE FROM exchange",
        "UPDATE exchange SET private_key = 'x'",
    ],
)
def test_damage_is_found_and_named_and_nothing_is_overwritten(filled: Path, statement: str) -> None:
    damaged(filled, statement)
    before = filled.read_bytes()
    with pytest.raises(cp.JournalError, match=f"{filled}: the journal is damaged"):
        open_journal(filled)
    assert filled.read_bytes() == before
    with pytest.raises(cp.JournalError):  # the lock was given back
        open_journal(filled)


def test_a_damaged_snapshot_is_passed_over(
    path: Path, tmp_path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey
) -> None:
    played = scenario(random.Random(4), 100, tiny=False)
    journal = begin(path, played, exchange_key, 20)
    expected = model(played, keys)
    for _ in both(journaled(journal, keys), expected, played, random.Random(0)):
        pass
    journal.close()
    damaged(
        path, "UPDATE snapshots SET engine = x'00' WHERE number > 0 AND number = (SELECT max(number) FROM snapshots)"
    )
    check(crash_copy(path, tmp_path / "one"), expected)
    damaged(path, "UPDATE snapshots SET engine = x'00' WHERE number > 0")
    copy = crash_copy(path, tmp_path / "all")
    check(copy, expected)
    check(copy, expected)  # and it is replaced by a good one


def test_lost_client_order_ids_are_noticed(filled: Path) -> None:
    reopened(filled).close()  # takes a snapshot
    damaged(filled, "DELETE FROM used_client_order_ids WHERE client = 1")
    with pytest.raises(cp.JournalError, match="client order ids were used"):
        open_journal(filled)


@pytest.mark.parametrize(("snapshot", "at_least"), [(True, 10), (False, 60)])
def test_bytes_that_change_on_the_disk_never_change_what_comes_back(
    filled: Path, tmp_path: Path, snapshot: bool, at_least: int
) -> None:
    journal = reopened(crash_copy(filled, tmp_path / "other"))
    engine = journal.engine.snapshot()
    journal.close()
    if snapshot:
        reopened(filled).close()
    with closing(sqlite3.connect(filled)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw = filled.read_bytes()
    copy = tmp_path / "changed.db"
    refused = 0
    for seed in range(100):
        choice = random.Random(seed)
        changed = bytearray(raw)
        for _ in range(choice.choice((1, 1, 8))):
            changed[choice.randrange(100, len(changed))] ^= 1 << choice.randrange(8)
        copy.unlink(missing_ok=True)
        copy.touch(0o600)
        copy.write_bytes(changed)
        try:
            again = reopened(copy)
        except cp.JournalError as error:
            assert str(copy) in str(error), seed  # noqa: PT017 - either it is refused
            refused += 1
        else:
            try:
                assert again.engine.snapshot() == engine, seed  # or the change is where nothing depends on it
            finally:
                again.close()
    assert refused >= at_least
