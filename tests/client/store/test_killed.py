"""What is left of a store after kill -9."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.store_victim import is_users

Outbox = dict[int, tuple[int, int | None]]
"""By key: when it was made, and its sequence."""


class Killer:
    """Has processes killed while they use a store."""

    def __init__(self) -> None:
        victim = Path(__file__).parents[2] / "support/store_victim.py"
        self._process = subprocess.Popen(
            [sys.executable, victim], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=victim.parent.parent
        )

    def kill_one(self, seed: int, path: Path) -> list[list[Any]]:
        """What the killed process had begun and finished."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seed} {path}\n")
        self._process.stdin.flush()
        said: list[list[Any]] = json.loads(self._process.stdout.readline())
        return said

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_what_had_returned_is_there_after_a_kill(path: Path) -> None:
    killer = Killer()
    outbox: Outbox = {}
    last_position = handled = puts = 0
    settled_through = -1
    for seed in range(1, 81):
        said = killer.kill_one(seed, path)
        outbox, doing, positions = replay(said, outbox)
        removals = [words[2] for words in said if words[0] in ("remove", "report")]
        handled += sum(words[0] == "handling" for words in said)
        puts += sum(words[0] == "put" for words in said)
        if not path.with_name(path.name + "-wal").exists():
            continue  # killed before there was anything
        # A copy is opened in place of the file, so that the next victim has to recover the log itself.
        copy = path.with_name("copy.db")
        for ending in ("", "-wal", "-outbox"):
            with suppress(FileNotFoundError):  # killed before the log was created
                shutil.copy(path.with_name(path.name + ending), copy.with_name(copy.name + ending))
        store = SqliteStore(copy)
        store.open("alice", "fingerprint")
        position = store.position or 0
        assert max(positions.start, last_position) <= position <= max(positions.stop - 1, last_position)
        found = {each.key or 0: (each.created_ns, each.sequence) for each in store.outbox()}
        found |= {-number: (int(report), None) for number, report in store.late_reports()}
        # What had not returned may be there all the same; a new entry or report has the highest key.
        assert found == outbox or (doing and found == done(outbox, doing, newest(doing, found)))
        if doing and doing[0] != "put" and found == outbox:
            removals.pop()  # this had no effect, so the outcome counts as not settled, too
        settled_through = max(settled_through, *removals, -1)
        assert store.settled_through == settled_through
        assert user_rows(store) == [number for number in range(1, position + 1) if is_users(number)]
        store.close()
        for file in path.parent.glob("copy.db*"):
            file.unlink()
        outbox, last_position = found, position
    killer.close()
    # It proves nothing unless enough has happened.
    assert handled > 500
    assert last_position > 500
    assert puts > 300


def user_rows(store: SqliteStore) -> list[int]:
    with store.transaction() as db:
        db.execute("CREATE TABLE IF NOT EXISTS users (transaction_id INTEGER PRIMARY KEY)")  # killed before
        return [number for (number,) in db.execute("SELECT transaction_id FROM users ORDER BY 1")]


def replay(said: list[list[Any]], outbox: Outbox) -> tuple[Outbox, list[Any] | None, range]:
    """What must be in the outbox, what was begun with it, and where the position may be."""
    doing: list[Any] | None = None
    durable = begun = 0
    for words in said:
        if words[0] in ("put", "report", "remove"):
            doing = words
        elif words[0] == "done" and doing is not None:
            outbox = done(outbox, doing, words[1])
            doing = None
        elif words[0] == "flushed":
            durable = words[1]
        elif words[0] == "handling":
            begun = words[1]
    return outbox, doing, range(durable, begun + 1)


def newest(words: list[Any], found: Outbox) -> int:
    """The key that what was begun with *words* got."""
    return -min(found) if words[0] == "report" else words[1] or max(found)


def done(outbox: Outbox, words: list[Any], key: int) -> Outbox:
    now = dict(outbox)
    if words[0] == "put":
        now[key] = (words[2], None)
    elif words[0] == "report":
        del now[words[1]]
        now[-key] = (words[2], None)
    else:
        del now[key]
    return now
