"""The simulated disk keeps what was synced, and of the rest any part."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.simulation.disk import Disk


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        count: int = db.execute("SELECT count(*) FROM t").fetchone()[0]
        return count


@pytest.mark.parametrize(("synchronous", "least"), [("FULL", 3), ("NORMAL", 1)])
def test_what_a_crash_leaves(memory_path: Path, synchronous: str, least: int) -> None:
    disk = Disk(memory_path, random.Random(1))
    path = disk.new_path("victim")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute("CREATE TABLE t (a)")
        db.execute("INSERT INTO t VALUES (0)")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in (1, 2):
            db.execute("INSERT INTO t VALUES (?)", (number,))
        disk.committed(str(path), db)
        db.execute("INSERT INTO t VALUES (3)")
        counts = {rows(disk.crashed(path, "copy")) for _ in range(60)}
        assert counts == set(range(least, 5))
        assert rows(disk.killed(path, "copy")) == 4
