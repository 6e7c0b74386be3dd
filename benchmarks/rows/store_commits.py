"""How long a commit of ``SqliteStore`` holds the event loop, against a commit of SQLite with its own settings.

Both write a thousand pages and go on, so both come to a checkpoint: SQLite makes it in the commit that writes the
thousandth, the store in a thread, in a pause that is left to it.
"""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import cryptoproto as cp

from ..machinery.effort import Effort
from ..machinery.journals import journal_folder
from ..machinery.measure import Pair
from ..machinery.report import Row

__all__ = ["ROUNDS", "rows"]

ROUNDS: Final = 7

_COMMITS: Final = 1_001
_AROUND: Final = 20
"""SQLite's checkpoint is in one of so many last commits: the thousandth page is not the thousandth commit's."""


def rows(effort: Effort) -> list[Row]:
    """The median, and the one that a checkpoint shows in; the files are on the disk that ``BENCH_DIR`` names."""
    count = effort.scaled(_COMMITS)
    medians: list[Pair] = []
    checkpoints: list[Pair] = []
    with journal_folder() as folder:
        for number in range(effort.rounds):
            ours = _store(folder / f"store-{number}.db", count)
            bare = _sqlite(folder / f"bare-{number}.db", count)
            medians.append((statistics.median(ours), statistics.median(bare)))
            checkpoints.append((ours[-1], max(bare[-_AROUND:])))
    title = "a commit of SqliteStore in the event loop, against one of SQLite"
    after = "the first commit of SqliteStore after a checkpoint, against SQLite's commit with a checkpoint"
    return [
        Row.from_pairs("store-commits", title, medians, unit="us"),
        Row.from_pairs("store-commits-checkpoint", after, checkpoints, unit="us", at_most=0.1),
    ]


def _store(path: Path, count: int) -> list[float]:
    """Commits of a position, each with an order that was sent and settled since the one before."""
    store = cp.SqliteStore(path)
    store.open("alice", "of no exchange")

    def commit() -> None:
        store.flush()

    taken = []
    for number in range(1, count + 1):
        if number == count:
            _wait_for_the_checkpoint()
        entry = cp.OutboxEntry(kind="place", payload=b"." * 200, created_ns=time.time_ns(), client_order_id=number)
        store.remove(store.put(entry), number)
        store.advance(number)
        taken.append(_microseconds(commit))
    store.close()
    return taken


def _wait_for_the_checkpoint() -> None:
    for thread in threading.enumerate():
        if thread.name == "cryptoproto-checkpoint":
            thread.join()


def _sqlite(path: Path, count: int) -> list[float]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("CREATE TABLE positions (id INTEGER PRIMARY KEY, position INTEGER)")
        database.execute("INSERT INTO positions VALUES (1, 0)")

        def commit() -> None:
            database.execute("UPDATE positions SET position = position + 1")

        return [_microseconds(commit) for _ in range(count)]


def _microseconds(call: Callable[[], None]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1000
