"""The files of a journal: who may open them, and what is refused."""

from __future__ import annotations

import os
import sqlite3
import sys
from array import array
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange, journal_file
from cryptoproto.exchange.journal import open_journal
from cryptoproto.exchange.journal_schema import Batch
from tests.support.scenarios import PAIRS


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "exchange.db"


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
    for mode in (0o604, 0o640, 0o620):
        path.chmod(mode)
        with pytest.raises(cp.ConfigurationError, match=f"mode {mode:04o} gives other users access.*chmod 600 {path}"):
            open_journal(path)
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(cp.ConfigurationError, match="version 9; this package reads version 2"):
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


async def test_a_hard_link_of_a_journal_in_use_is_refused(path: Path, tmp_path: Path) -> None:
    async with Exchange(path=path):
        os.link(path, tmp_path / "link.db")
        with pytest.raises(cp.ConfigurationError, match=r"link\.db: the journal is in use by another exchange"):
            Exchange(path=tmp_path / "link.db")
    await Exchange(path=tmp_path / "link.db").close()


def test_a_lock_that_cannot_be_made_is_explained(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(cp.ConfigurationError, match="a journal cannot be used: this system has no POSIX file locks"):
        open_journal(path)


def test_a_journal_that_cannot_be_created_is_explained(
    path: Path, monkeypatch: pytest.MonkeyPatch, exchange_key: cp.PrivateKey
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(cp.ConfigurationError, match=rf"{path}: the journal cannot be written: No space left on device"):
        open_journal(path, private_key=exchange_key)
    assert sorted(os.listdir(path.parent)) == ["exchange.db-lock"]


def test_a_name_that_is_taken_at_the_last_moment_is_left_alone(path: Path, exchange_key: cp.PrivateKey) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(cp.ConfigurationError, match=f"{path}: already exists and was not changed"):
        journal_file.create(str(path), exchange_key, b"")
    assert path.read_bytes() == b"precious"


def test_no_lock_is_left_beside_a_file_that_is_not_a_journal(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(cp.ConfigurationError, match="not a journal of an exchange"):
        open_journal(path)
    assert os.listdir(path.parent) == [path.name]


def test_a_file_that_only_looks_like_a_journal_is_refused(path: Path, exchange_key: cp.PrivateKey) -> None:
    open_journal(path, private_key=exchange_key).close()
    raw = path.read_bytes()
    path.write_bytes(raw[:100] + bytes(len(raw) - 100))
    with pytest.raises(cp.JournalError, match="the journal is damaged and was not changed"):
        open_journal(path)


def test_a_journal_that_cannot_be_read_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, exchange_key: cp.PrivateKey
) -> None:
    open_journal(path, private_key=exchange_key).close()

    def fail(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", fail)
    with pytest.raises(cp.ConfigurationError, match="the journal cannot be read: Permission denied"):
        open_journal(path)


def test_client_order_ids_are_stored_little_endian_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = array("q", [1, -2, 2**62])
    assert journal_file.from_bytes(journal_file._as_bytes(ids)) == ids
    assert journal_file._as_bytes(array("q", [1])) == b"\1" + bytes(7)
    monkeypatch.setattr(sys, "byteorder", "big" if sys.byteorder == "little" else "little")
    assert journal_file.from_bytes(journal_file._as_bytes(ids)) == ids
    assert ids.tolist() == [1, -2, 2**62], "they are still in use"
    assert journal_file._as_bytes(array("q", [1]))[-1] == 1


def test_a_batch_that_fails_leaves_no_part_of_it(path: Path, exchange_key: cp.PrivateKey) -> None:
    journal = open_journal(path, private_key=exchange_key)
    row = (1, "alice", "key", 0)
    with pytest.raises(sqlite3.IntegrityError):
        journal._file.write(Batch(clients=[row, row]))
    assert journal._file.writer.execute("SELECT count(*) FROM clients").fetchone() == (0,)
    journal.close()


def test_a_journal_in_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "exchange.db"
    with pytest.raises(
        cp.ConfigurationError, match=f"{path}: the journal cannot be created: No such file or directory: {path.parent}"
    ):
        Exchange(path=path)
    assert not path.parent.exists()
