"""Recovery from a damaged journal: refused with the reason, or read from an older snapshot."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange.commands import Register
from cryptoproto.exchange.journal import Journal, open_journal
from cryptoproto.exchange.journal_schema import event_checksum
from cryptoproto.exchange.ledger import Transaction
from tests.support.journals import (
    begin,
    both,
    check,
    crash_copy,
    journaled,
    model,
    recorded,
    reopened,
)
from tests.support.scenarios import CLIENTS, scenario


@pytest.fixture(scope="module")
def keys(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> dict[str, cp.PublicKey]:
    return dict(zip(CLIENTS, (alice_key.public_key, bob_key.public_key, exchange_key.public_key), strict=True))


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exchange.db"


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
def test_bytes_that_change_on_the_disk_never_change_what_is_recovered(
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


# The chain of events


@pytest.fixture
def settled(filled: Path) -> Path:
    """A journal with a snapshot after its last command: no event is compared with what a command leads to."""
    reopened(filled).close()
    return filled


def replayed(journal: Journal) -> dict[str, list[Transaction]]:
    """What each client would be sent from the start."""
    records = [record for client in CLIENTS if (record := journal.client(client)) is not None]
    numbers = journal._numbers
    return {
        record.client_id: journal._file.read(numbers[record.client_id], 0, record.floor, 10**6) for record in records
    }


def renumbered(condition: str, number: str) -> str:
    return (
        f"INSERT INTO events SELECT client, {number}, time_us, payload, checksum FROM events WHERE {condition} LIMIT 1"
    )


@pytest.mark.parametrize(
    "statement",
    [
        *(f"DELETE FROM events WHERE transaction_id = {number}" for number in (4, 40, 41, 80)),
        "DELETE FROM events WHERE client = 1",
        "DELETE FROM events WHERE transaction_id = (SELECT max(transaction_id) FROM events)",
        "DELETE FROM events WHERE transaction_id % 2 = 0",
        renumbered("transaction_id = 40", "100000"),
        renumbered("client = 1 ORDER BY transaction_id", "0"),
        "UPDATE events SET transaction_id = transaction_id + 10000 WHERE transaction_id = 40",
        "UPDATE events SET payload = (SELECT payload FROM events WHERE transaction_id = 41) WHERE transaction_id = 40",
        (
            "UPDATE events SET (time_us, payload, checksum) = (SELECT time_us, payload, checksum FROM events AS other "
            "WHERE other.transaction_id = 81 - events.transaction_id) WHERE transaction_id IN (40, 41)"
        ),
        "UPDATE events SET client = 4 - client WHERE transaction_id = 40",
        "UPDATE events SET payload = x'00' WHERE transaction_id = 40",
        "UPDATE events SET payload = CAST(payload AS BLOB) WHERE transaction_id = 40",
        "UPDATE events SET time_us = 'noon' WHERE transaction_id = 40",
    ],
)
def test_a_row_of_events_that_is_missing_duplicated_or_misplaced_is_found_at_the_start(
    settled: Path, statement: str
) -> None:
    damaged(settled, statement)
    with pytest.raises(cp.JournalError, match=f"{settled}: the journal is damaged and was not changed"):
        open_journal(settled)


@pytest.mark.parametrize("overwrite", [False, True])
def test_pages_that_are_swapped_or_overwritten_never_change_a_history(
    settled: Path, tmp_path: Path, overwrite: bool
) -> None:
    journal = reopened(settled)
    expected = replayed(journal)
    journal.close()
    raw = settled.read_bytes()
    size = int.from_bytes(raw[16:18], "big")
    pages = [raw[start : start + size] for start in range(0, len(raw), size)]
    copy = tmp_path / "swapped.db"
    copy.touch(0o600)
    refused = 0
    choice = random.Random(5)
    for _ in range(60):
        one, other = choice.sample(range(1, len(pages)), 2)
        swapped = list(pages)
        swapped[one] = pages[other]
        if not overwrite:
            swapped[other] = pages[one]
        copy.write_bytes(b"".join(swapped))
        try:
            journal = reopened(copy)
        except cp.JournalError:
            refused += 1
            continue
        try:
            assert replayed(journal) == expected, (one, other)
        except cp.JournalError:
            refused += 1
        finally:
            journal.close()
    assert refused > 30


async def test_a_gap_that_appears_while_the_exchange_runs_is_found_by_the_replay(settled: Path) -> None:
    journal = reopened(settled)
    journal.start(lambda error: pytest.fail(str(error)))
    try:
        record = journal.client("alice")
        assert record is not None
        whole = await journal.read(record, 0, 1000)
        assert [each.payload for each in whole] == [row[2] for row in recorded(settled, "alice")]
        assert await journal.read(record, whole[9].transaction_id, 5) == whole[10:15]
        sixth, last = whole[5], whole[-1]
        for missing, after, limit in ((sixth, 0, 1000), (sixth, sixth.transaction_id, 3), (last, 0, 1000)):
            file = journal._file.writer
            file.execute("BEGIN")
            file.execute("DELETE FROM events WHERE transaction_id = ?", (missing.transaction_id,))
            file.execute("COMMIT")
            with pytest.raises(cp.JournalError, match=r"the one before it is missing|is missing"):
                await journal.read(record, after, limit)
            before = max(each.transaction_id for each in whole if each.transaction_id < missing.transaction_id)
            (checksum,) = file.execute("SELECT checksum FROM events WHERE transaction_id = ?", (before,)).fetchone()
            text, time_us = missing.payload.decode(), round(missing.timestamp * 1e6)
            own = event_checksum(checksum, missing.transaction_id, time_us, missing.payload)
            file.execute("INSERT INTO events VALUES (1, ?, ?, ?, ?)", (missing.transaction_id, time_us, text, own))
        assert await journal.read(record, 0, 1000) == whole
    finally:
        await journal.stop()
        journal.close()


def test_commands_that_are_missing_before_a_damaged_snapshot_are_noticed(settled: Path) -> None:
    """Without this check, the exchange would recover its very first state."""
    for statement in (
        "UPDATE snapshots SET engine = x'00' WHERE number > 0",
        "DELETE FROM commands",
        "DELETE FROM events",
    ):
        damaged(settled, statement)
    with pytest.raises(cp.JournalError, match="command 1 is missing"):
        open_journal(settled)


def test_a_client_that_is_missing_is_noticed_even_without_events(
    path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey
) -> None:
    journal = open_journal(path, private_key=exchange_key)
    for client in ("alice", "bob"):
        journaled(journal, keys).give(Register(client, {}, 0))
    journal.close()
    damaged(path, "DELETE FROM clients WHERE client_id = 'bob'")
    with pytest.raises(cp.JournalError, match="the clients are not those that were registered"):
        open_journal(path)


def test_an_event_that_is_not_what_its_command_leads_to_is_noticed(filled: Path) -> None:
    """Its checksum is right, and its chain is unbroken."""
    with closing(sqlite3.connect(filled)) as connection:
        rows = connection.execute(
            "SELECT transaction_id, time_us, checksum FROM events WHERE client = 1 ORDER BY transaction_id DESC LIMIT 2"
        ).fetchall()
        (last, time_us, _), (_, _, before) = rows
        checksum = event_checksum(before, last, time_us, b"{}")
        connection.execute("UPDATE events SET payload = '{}', checksum = ? WHERE transaction_id = ?", (checksum, last))
        connection.commit()
    with pytest.raises(cp.JournalError, match=f"transaction {last} is not the event of command"):
        open_journal(filled)
