"""The journal: whatever moment it is cut at, what comes back is what a prefix of its inputs leads to."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.journal import Journal, open_journal
from tests.exchange.test_engine_properties import CLIENTS, PAIRS, Scenario, scenario
from tests.support.journals import Played, crash_copy, in_memory, journaled, recorded, remembered, reopened, state


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


@pytest.mark.parametrize(("seed", "snapshot_every"), [(0, 1), (1, 7), (2, 10_000)])
def test_every_prefix_comes_back(
    path: Path,
    tmp_path: Path,
    keys: dict[str, cp.PublicKey],
    exchange_key: cp.PrivateKey,
    seed: int,
    snapshot_every: int,
) -> None:
    played = scenario(random.Random(seed), 60, tiny=False)
    journal = begin(path, played, exchange_key, snapshot_every)
    expected = model(played, keys)
    try:
        for _ in both(journaled(journal, keys), expected, played, random.Random(seed)):
            check(crash_copy(path, tmp_path / "copy"), expected)
    finally:
        journal.close()
    check(path, expected)


@pytest.mark.parametrize("seed", range(6))
async def test_a_cut_anywhere_in_the_log_leaves_a_prefix(
    path: Path, tmp_path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey, seed: int
) -> None:
    choice = random.Random(seed)
    played = scenario(choice, 300, tiny=bool(seed % 2))
    journal = begin(path, played, exchange_key, choice.choice((5, 40, 10_000)))
    journal.start(lambda error: pytest.fail(str(error)))
    states: list[tuple[object, ...]] = []  # by number of inputs
    one, expected = journaled(journal, keys), model(played, keys)
    states.append(state(expected.venue, CLIENTS))
    copies: list[tuple[Path, int, int]] = []
    try:
        garbage = random.Random(seed)
        for command in played.commands:
            for venue in (one, expected):
                venue.give(command)
            states.append(state(expected.venue, CLIENTS))
            if len(states) > 9 and garbage.random() < 0.1:
                for venue in (one, expected):
                    venue.undecodable("alice")
                states.append(state(expected.venue, CLIENTS))
            if choice.random() < 0.2:  # groups of about five; the writer is at work meanwhile
                await asyncio.sleep(0)
            if choice.random() < 0.05:
                durable = len(states) - 1 - journal.backlog
                copies.append((crash_copy(path, tmp_path / str(len(copies))), durable, len(states) - 1))
        await journal.flush()
        whole = crash_copy(path, tmp_path / "whole")
    finally:
        await journal.stop()
        journal.close()
    for copy, durable, appended in copies:
        assert durable <= recovered_inputs(copy, states) <= appended, seed
    size = os.stat(f"{whole}-wal").st_size
    for _ in range(12):
        copy = crash_copy(whole, tmp_path / "cut", log_bytes=choice.randint(0, size))
        recovered_inputs(copy, states)


def recovered_inputs(copy: Path, states: list[tuple[object, ...]]) -> int:
    """How many inputs *copy* still has; what it comes back to is what those lead to."""
    with closing(sqlite3.connect(copy)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM commands").fetchone()
    journal = reopened(copy)
    try:
        records = tuple(client for client in CLIENTS if journal.client(client) is not None)
        again = Played(journal.engine, journal, {})
        assert state(again.venue, records) == states[number]
    finally:
        journal.close()
    return int(number)


def test_it_goes_on_after_each_restart_as_if_there_was_none(
    path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey
) -> None:
    played = scenario(random.Random(11), 400, tiny=False)
    expected = model(played, keys)
    choice = random.Random(12)
    journal = begin(path, played, exchange_key, 25)
    try:
        one = journaled(journal, keys)
        for command in played.commands:
            for venue in (one, expected):
                venue.give(command)
            if choice.random() < 0.05:
                journal.close()
                journal = reopened(path)
                one = journaled(journal, keys)
    finally:
        journal.close()
    check(path, expected)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*), min(number) FROM snapshots").fetchone() == (3, 0)


# The file


async def test_it_is_made_for_its_owner_alone_and_closed_whole(path: Path) -> None:
    old = os.umask(0)
    try:
        async with Exchange(path=path) as exchange:
            for name in ("", "-wal", "-shm", "-lock"):
                assert os.stat(f"{path}{name}").st_mode & 0o777 == 0o600
            key = exchange.public_key
    finally:
        os.umask(old)
    assert sorted(os.listdir(path.parent)) == ["exchange.db", "exchange.db-lock"]
    async with Exchange(path=path) as exchange:
        assert exchange.public_key == key
    assert sorted(os.listdir(path.parent)) == ["exchange.db", "exchange.db-lock"]


async def test_a_second_exchange_on_the_same_journal_is_refused(path: Path) -> None:
    async with Exchange(path=path):
        with pytest.raises(cp.ConfigurationError, match=rf"{path}: the journal is in use .*process {os.getpid()}\)"):
            Exchange(path=path)
    await Exchange(path=path).close()


@pytest.mark.parametrize("kind", ["text", "empty", "another database", "folder"])
def test_a_file_that_is_no_journal_is_left_as_it_is(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "another database":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE mine (a)")
            connection.commit()
    else:
        path.write_text("precious\n" * 20 if kind == "text" else "")
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(cp.ConfigurationError, match=str(path)):
        Exchange(path=path)
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_journal_of_another_version_or_open_to_all_is_refused(path: Path) -> None:
    open_journal(path).close()
    path.chmod(0o604)
    with pytest.raises(cp.ConfigurationError, match=f"chmod 600 {path}"):
        open_journal(path)
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(cp.ConfigurationError, match="version 9, this is for version 1"):
        open_journal(path)


@pytest.mark.parametrize("path", ["", 5, b""])
def test_a_path_that_is_no_name_of_a_file(path: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="must be the name of the journal's file"):
        Exchange(path=path)


def test_a_journal_without_its_folder_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="No such file"):
        open_journal(tmp_path / "nowhere" / "exchange.db")


def test_what_is_given_must_not_contradict_the_journal(
    path: Path, exchange_key: cp.PrivateKey, bob_key: cp.PrivateKey
) -> None:
    open_journal(path, private_key=exchange_key, trade_pairs=PAIRS).close()
    open_journal(path, private_key=exchange_key, trade_pairs=PAIRS).close()
    with pytest.raises(cp.ConfigurationError, match=f"another key, {exchange_key.fingerprint}"):
        open_journal(path, private_key=bob_key)
    with pytest.raises(cp.ConfigurationError, match="trade_pairs="):
        open_journal(path, trade_pairs=("X_Y",))
    with closing(open_journal(path)) as journal:
        assert journal.engine.trade_pairs == PAIRS


async def test_registering_again_changes_nothing_and_another_key_is_refused(
    path: Path, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey
) -> None:
    for _ in range(2):
        async with Exchange(path=path) as exchange:
            exchange.register("alice", alice_key.public_key, balances={"USD": "5"})
            with pytest.raises(cp.ConfigurationError, match="another key"):
                exchange.register("alice", bob_key.public_key)
            assert exchange.totals() == {"USD": 5}


# Damage


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
