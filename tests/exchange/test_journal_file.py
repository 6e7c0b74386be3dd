"""The files of a journal: who may open them, and what is refused."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.journal import open_journal
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
    assert open_journal(path).engine.trade_pairs == PAIRS


async def test_registering_again_changes_nothing_and_another_key_is_refused(
    path: Path, alice_key: cp.PrivateKey, bob_key: cp.PrivateKey
) -> None:
    for _ in range(2):
        async with Exchange(path=path) as exchange:
            exchange.register("alice", alice_key.public_key, balances={"USD": "5"})
            with pytest.raises(cp.ConfigurationError, match="another key"):
                exchange.register("alice", bob_key.public_key)
            assert exchange.totals() == {"USD": 5}
