"""Checkpoints are made in a thread."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from cryptoproto.client.store import checkpointer as checkpointer_module
from cryptoproto.client.store.checkpointer import Checkpointer
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.stores import ALICE, entry


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that made a checkpoint. Fifty commits are enough for one."""
    names: list[str] = []
    real = checkpointer_module._execute

    def noticed(path: Path, *statements: str) -> None:
        if "checkpoint" in statements[0]:
            names.append(threading.current_thread().name)
        real(path, *statements)

    monkeypatch.setattr(checkpointer_module, "_PAGES", 50)
    monkeypatch.setattr(checkpointer_module, "_QUIET_S", 0.001)
    monkeypatch.setattr(checkpointer_module, "_execute", noticed)
    return names


def wait_for(checkpointer: Checkpointer) -> None:
    if checkpointer._thread is not None:
        checkpointer._thread.join()


def test_checkpoints_are_made_beside(path: Path, threads: list[str]) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    for number in range(600):
        store.remove(store.put(entry(number)), number)
        store.flush()
        wait_for(store._checkpointer)  # a pause between commits, as there are most of the time
    assert threads == ["cryptoproto-checkpoint"] * 12
    assert path.with_name("alice.db-wal").stat().st_size < 50 * 8 * 4096  # the log was begun anew, again and again
    store.close()
    assert {file.name for file in path.parent.iterdir()} == {"alice.db", "alice.db-lock"}


def beginning_of_the_log(path: Path) -> bytes:
    """The header, which has new random numbers each time that the log begins anew, and is synced then."""
    return path.with_name("alice.db-wal").read_bytes()[:32]


def test_no_commit_syncs_the_start_of_a_new_log(path: Path, threads: list[str]) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    for number in range(3):
        before = beginning_of_the_log(path)
        for _ in range(50):
            store.advance((store.position or 0) + 1)
            store.flush()
        wait_for(store._checkpointer)
        after = beginning_of_the_log(path)
        assert after != before
        store.advance((store.position or 0) + 1)
        with store.transaction() as connection:
            connection.execute(f"CREATE TABLE mine_{number} (a)")
        assert beginning_of_the_log(path) == after
    assert len(threads) == 3
    store.close()


def test_what_was_committed_during_the_checkpoint_has_begun_the_log(
    path: Path, threads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    executed: list[str] = []

    def execute(_path: Path, *statements: str) -> None:
        executed.append(statements[-1])
        checkpointer.count_commit()

    checkpointer = Checkpointer(path)
    monkeypatch.setattr(checkpointer_module, "_execute", execute)
    for _ in range(50):
        checkpointer.count_commit()
    wait_for(checkpointer)
    assert executed == ["PRAGMA wal_checkpoint(PASSIVE)"]


def test_a_transaction_begins_when_the_start_of_the_log_is_written(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)

    class Writing:
        """A lock whose other holder writes to the file until it lets go."""

        def __enter__(self) -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:  # fails if this store has begun
                other.execute("UPDATE cryptoproto_store SET id = id")
            entered.append(self)

        def __exit__(self, *_: object) -> None:
            pass

    entered: list[Writing] = []
    store._checkpointer.writing = Writing()  # type: ignore[assignment]
    store.advance(1)
    store.flush()
    with store.transaction():
        pass
    assert len(entered) == 2
    store.close()


def test_the_events_of_a_history_count_as_the_pages_that_they_fill(path: Path, threads: list[str]) -> None:
    checkpointer = Checkpointer(path)
    for _ in range(2):
        checkpointer.count_commit(24 * 16)
    wait_for(checkpointer)
    assert len(threads) == 1


class BusyWait:
    """Instead of a pause there are commits, for as long as a clock needs to show a minute."""

    def __init__(self, checkpointer: Checkpointer) -> None:
        self._checkpointer = checkpointer
        self.seconds = 0.0

    def wait(self, seconds: float) -> bool:
        self.seconds += 1.0
        if self.seconds < 60.0:
            self._checkpointer._commits += 1
        return False

    def monotonic(self) -> float:
        return self.seconds


def test_it_waits_for_a_pause_but_not_for_ever(path: Path, threads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    checkpointer = Checkpointer(path)
    busy = BusyWait(checkpointer)
    monkeypatch.setattr(checkpointer, "_is_ending", busy)
    monkeypatch.setattr(checkpointer_module, "time", busy)
    for _ in range(50):
        checkpointer.count_commit()
    wait_for(checkpointer)
    assert len(threads) == 1
    assert busy.seconds == checkpointer_module._PATIENCE_S


def test_closing_makes_no_checkpoint_that_waits(
    path: Path, threads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpointer_module, "_QUIET_S", 3600.0)
    checkpointer = Checkpointer(path)
    for _ in range(50):
        checkpointer.count_commit()
    checkpointer.close()
    assert threads == []
