"""The journal: cut at any moment, it recovers the result of a prefix of its inputs."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange.commands import Deposit, Register, SetInstruments, Submit
from cryptoproto.exchange.journal import open_journal
from cryptoproto.exchange.ledger import ClientRecord
from cryptoproto.messages import CancelOrder, PlaceBuyLimitOrder
from tests.support.journals import (
    Played,
    begin,
    both,
    check,
    crash_copy,
    journaled,
    model,
    reopened,
    state,
)
from tests.support.leaks import loop_reports
from tests.support.scenarios import CLIENTS, PAIRS, scenario


@pytest.fixture(scope="module")
def keys(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> dict[str, cp.PublicKey]:
    return dict(zip(CLIENTS, (alice_key.public_key, bob_key.public_key, exchange_key.public_key), strict=True))


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exchange.db"


@pytest.mark.parametrize(("seed", "snapshot_every"), [(0, 1), (1, 7), (2, 10_000)])
def test_every_prefix_of_a_journal_is_recovered(
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


@pytest.mark.parametrize("seed", range(4))
def test_rules_that_change_come_back_and_are_repeated(
    path: Path, tmp_path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey, seed: int
) -> None:
    chance = random.Random(seed)
    played = scenario(random.Random(seed), 60, tiny=False)
    for _ in range(4):
        rules = [
            cp.Instrument(pair, tick_size=chance.choice(["0.01", "1"]), lot_size=chance.choice(["0.1", "1"])).to_rules()
            for pair in chance.sample(PAIRS, chance.randint(0, 2))
        ]
        where = chance.randrange(len(CLIENTS), len(played.commands))
        played.commands.insert(where, SetInstruments(rules, played.commands[where].time_us))
    journal = begin(path, played, exchange_key, 25)
    expected = model(played, keys)
    try:
        for _ in both(journaled(journal, keys), expected, played, random.Random(seed)):
            check(crash_copy(path, tmp_path / "copy"), expected)
    finally:
        journal.close()


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
    """The number of inputs in *copy*; its recovered state must be the result of those inputs."""
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


def test_restarts_change_no_event(path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey) -> None:
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


async def test_what_is_appended_before_the_start_and_after_the_stop_is_durable_at_once(
    path: Path, tmp_path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey
) -> None:
    journal = open_journal(path, private_key=exchange_key, snapshot_every=10_000)
    one = journaled(journal, keys)
    assert (journal.last_transaction_id, journal.since_snapshot) == (0, 0)
    one.give(Register("alice", {"USD": "5"}, 0))
    called: list[int] = []
    journal.when_durable(called.append, 1)
    assert called == [1]
    with pytest.raises(cp.JournalError, match="the journal is closed"):
        await journal.read(ClientRecord("alice", keys["alice"]), 0, 1)
    journal.start(lambda error: pytest.fail(str(error)))
    one.give(Deposit("alice", "USD", "1", "", [], 0))
    journal.when_durable(called.append, 2)
    assert called == [1]
    assert journal.backlog == 1
    await asyncio.gather(journal.flush(), journal.flush())
    assert called == [1, 2]
    await journal.stop()
    one.give(Deposit("alice", "USD", "1", "", [], 0))
    assert (journal.last_transaction_id, journal.since_snapshot, journal.backlog) == (4, 3, 0)
    journal.close()
    journal.close()
    assert journal.closed
    with pytest.raises(cp.ConfigurationError, match="the exchange and its journal are closed"):
        one.give(Register("bob", {}, 0))
    again = reopened(path)
    assert again.engine.totals() == {"USD": 7}
    again.close()


async def test_an_action_that_fails_does_not_hold_up_the_others(
    path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey
) -> None:
    journal = open_journal(path, private_key=exchange_key)
    one = journaled(journal, keys)
    journal.start(lambda error: pytest.fail(str(error)))
    one.give(Register("alice", {"USD": "5"}, 0))
    called: list[int] = []

    def fail(number: int) -> None:
        called.append(number)
        raise RuntimeError(f"action {number}")

    for number, action in enumerate((called.append, fail, called.append, fail, called.append)):
        journal.when_durable(action, number)
    with loop_reports() as reports:
        async with asyncio.timeout(20):
            await journal.stop()
    assert called == [0, 1, 2, 3, 4]
    assert [str(each["exception"]) for each in reports] == ["action 1", "action 3"]
    journal.close()


@pytest.mark.parametrize("started", [False, True])
async def test_after_a_failed_commit_the_journal_accepts_nothing(
    path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey, started: bool
) -> None:
    journal = open_journal(path, private_key=exchange_key)
    one = journaled(journal, keys)
    one.give(Register("alice", {"USD": "5"}, 0))
    failures: list[cp.JournalError] = []
    if started:
        journal.start(failures.append)
    journal._file.writer.execute("PRAGMA query_only = ON")
    called: list[int] = []
    if started:
        one.give(Register("bob", {}, 0))
        journal.when_durable(called.append, 1)
        with pytest.raises(cp.JournalError, match="cannot be written, and the exchange stops"):
            await journal.flush()
        assert [str(error) for error in failures] == [str(journal.failure)]
    else:
        with pytest.raises(cp.JournalError, match="cannot be written, and the exchange stops"):
            one.give(Register("bob", {}, 0))
    journal.when_durable(called.append, 2)
    with pytest.raises(cp.JournalError):
        one.give(Register("carol", {}, 0))
    with pytest.raises(cp.JournalError):
        journal.start(failures.append)
    await journal.stop()
    journal.close()
    assert called == []
    again = reopened(path)
    assert again.engine.client_ids == ("alice",)
    again.close()


async def test_a_snapshot_waits_for_as_many_commands_as_there_are_open_orders(
    path: Path, keys: dict[str, cp.PublicKey], exchange_key: cp.PrivateKey
) -> None:
    journal = open_journal(path, private_key=exchange_key, snapshot_every=2)
    one = journaled(journal, keys)
    one.give(Register("alice", {"USD": "500"}, 0))
    since = []
    for _ in range(8):
        one.give(Submit("alice", PlaceBuyLimitOrder("BTC_USD", "1", "1"), 0))
        since.append(journal.since_snapshot)
    assert since == list(range(8))
    one.give(Submit("alice", CancelOrder(1), 0))
    assert journal.since_snapshot == 0
    journal.close()
