"""The stores: what they keep, whom they refuse, and what is left after a kill -9."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.store import open_store
from cryptoproto.client.store import sqlite as sqlite_store
from cryptoproto.client.store.interface import OutboxEntry, Store
from cryptoproto.client.store.memory import MemoryStore
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.store_victim import is_users

ALICE = ("alice", "aa:bb")

Outbox = dict[int, tuple[int, int | None]]
"""By key: when it was made, and its sequence."""


def entry(number: int = 1, **more: Any) -> OutboxEntry:
    return OutboxEntry(kind="place", payload=b'{"n":%d}' % number, created_ns=number, **more)


@pytest.fixture
def tmp_path(memory_path: Path) -> Path:
    return memory_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alice.db"


@pytest.fixture
def sqlite(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.open(*ALICE)
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    store: Store = MemoryStore() if request.param == "memory" else SqliteStore(path)
    store.open(*ALICE)
    yield store
    store.close()


def reopened(store: Store) -> Store:
    """What the next process finds."""
    store.close()
    if isinstance(store, SqliteStore):
        store = SqliteStore(store.path)
    store.open(*ALICE)
    return store


# Both stores


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.position is None
    assert store.outbox() == []


def test_the_position_only_grows(store: Store) -> None:
    for transaction_id in (3, 7, 5, 7, 1):
        store.advance(transaction_id)
    assert store.position == 7
    store.flush()
    store = reopened(store)
    assert store.position == 7
    store.advance(6)
    with closing(reopened(store)) as again:
        assert again.position == 7


def test_closing_flushes(store: Store) -> None:
    store.advance(1)
    with closing(reopened(store)) as again:
        assert again.position == 1


def test_the_outbox_survives_with_its_keys(store: Store) -> None:
    full = OutboxEntry(
        kind="cancel",
        payload=b"\x00\xff",
        created_ns=2**62,
        client_order_id=2**63 - 1,
        sequence=4,
    )
    entries = [entry(1), full, entry(3)]
    keys = [store.put(each) for each in entries]
    assert keys == sorted(set(keys))
    assert [each.key for each in entries] == keys
    store.remove(keys[2], 40)
    store = reopened(store)
    first, second = store.outbox()
    assert first == entry(1, key=keys[0])
    assert second == full
    store.remove(keys[0], 30)
    store.remove(keys[1], 50)
    assert store.outbox() == []
    with closing(reopened(store)) as again:
        assert again.put(entry()) not in keys


def test_how_far_outcomes_are_settled_only_grows(store: Store) -> None:
    assert store.settled_through == -1
    for settled_through, highest in ((40, 40), (30, 40), (50, 50)):
        store.remove(store.put(entry()), settled_through)
        assert store.settled_through == highest
        store = reopened(store)
        assert store.settled_through == highest
    assert store.position is None
    store.close()


def test_what_is_gone_can_be_removed(store: Store) -> None:
    store.remove(5, 7)
    store.remove_late_report(5)
    assert store.outbox() == []
    assert store.late_reports() == []


def test_late_reports_wait_until_they_are_removed(store: Store) -> None:
    first, second = store.put(entry(1)), store.put(entry(2))
    numbers = [store.put_late_report(b"one", first, 30), store.put_late_report(b"two", None, -1)]
    assert store.outbox() == [entry(2, key=second)]
    assert store.settled_through == 30
    store = reopened(store)
    assert store.late_reports() == list(zip(numbers, [b"one", b"two"], strict=True))
    store.remove_late_report(numbers[0])
    store = reopened(store)
    assert store.late_reports() == [(numbers[1], b"two")]
    assert store.put_late_report(b"three", None, -1) not in numbers
    store.close()


def test_the_outbox_is_a_copy(store: Store) -> None:
    given = entry()
    key = store.put(given)
    given.sequence = 3
    store.outbox()[0].sequence = 4
    assert store.outbox() == [entry(key=key)]


@pytest.mark.parametrize("other", [("bob", "aa:bb"), ("alice", "cc:dd")])
def test_a_store_belongs_to_one_client_at_one_exchange(store: Store, other: tuple[str, str]) -> None:
    store.advance(5)
    store.close()
    with pytest.raises(
        cp.ConfigurationError, match=r"belongs to client 'alice' at the exchange with the key aa:bb, not"
    ):
        store.open(*other)
    store.open(*ALICE)
    assert store.position == 5


def test_one_client_at_a_time(store: Store) -> None:
    with pytest.raises(cp.ConfigurationError, match="in use"):
        store.open(*ALICE)


def test_closing_twice(store: Store) -> None:
    store.close()
    store.close()


# Which store


def test_open_store(tmp_path: Path) -> None:
    assert isinstance(open_store(None), MemoryStore)
    for path in (tmp_path / "a.db", str(tmp_path / "a.db")):
        found = open_store(path)
        assert isinstance(found, SqliteStore)
        assert found.path == tmp_path / "a.db"
    assert list(tmp_path.iterdir()) == []  # nothing is made before it is opened
    mine = MemoryStore()
    assert open_store(mine) is mine
    with pytest.raises(cp.ConfigurationError, match="must be a path"):
        open_store(7)  # type: ignore[arg-type]


def test_options_are_checked(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="MemoryStore"):
        SqliteStore(":memory:")
    with pytest.raises(cp.ConfigurationError, match="commit_every"):
        SqliteStore(path, commit_every=0)
    with pytest.raises(cp.ConfigurationError, match="synchronous"):
        SqliteStore(path, synchronous="OFF")  # type: ignore[arg-type]


# The file


def test_the_file_is_for_its_owner_alone(sqlite: SqliteStore) -> None:
    sqlite.put(entry())
    files = list(sqlite.path.parent.iterdir())
    assert {file.name for file in files} >= {"alice.db", "alice.db-wal", "alice.db-lock"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


@pytest.mark.parametrize("level", ["NORMAL", "FULL"])
def test_the_log_and_how_it_is_written(path: Path, level: Any) -> None:
    store = SqliteStore(path, synchronous=level)
    store.open(*ALICE)
    with store.transaction() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == ({"NORMAL": 1, "FULL": 2}[level],)
    store.close()


def test_a_second_store_on_the_file_is_refused(sqlite: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.db").symlink_to(sqlite.path)
    for path in (sqlite.path, tmp_path / "folder" / ".." / "alice.db", tmp_path / "link.db"):
        with pytest.raises(cp.ConfigurationError, match=r"in use: another client"):
            SqliteStore(path).open(*ALICE)
    sqlite.advance(1)
    sqlite.close()
    second = SqliteStore(sqlite.path)
    second.open(*ALICE)
    assert second.position == 1
    second.close()


def test_another_process_is_refused_but_may_read(sqlite: SqliteStore) -> None:
    sqlite.advance(12)
    sqlite.flush()
    code = (
        "import sqlite3, sys\n"
        "import cryptoproto as cp\n"
        "print(sqlite3.connect(sys.argv[1]).execute('SELECT position FROM cryptoproto_store').fetchone()[0])\n"
        "try:\n"
        "    cp.SqliteStore(sys.argv[1]).open('alice', 'aa:bb')\n"
        "except cp.ConfigurationError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code, sqlite.path], capture_output=True, text=True, check=True)
    position, refusal = result.stdout.splitlines()
    assert position == "12"
    assert "in use" in refusal


def a_text(path: Path) -> None:
    path.write_text("dear diary, today I overwrote nothing")


def another_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE savings (amount)")
    connection.close()


def another_application(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA application_id = 7")
        connection.execute("PRAGMA user_version = 3")
    connection.close()


def a_newer_version(path: Path) -> None:
    a_store(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def a_store(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    for number in range(200):
        store.put(entry(number))
    store.close()


def a_cut_store(path: Path) -> None:
    a_store(path)
    path.write_bytes(path.read_bytes()[:5000])


def a_damaged_table(path: Path) -> None:
    a_store(path)
    raw = bytearray(path.read_bytes())
    for at in range(4096, len(raw), 4096):
        raw[at : at + 200] = b"\xa5" * 200
    path.write_bytes(raw)


def a_damaged_head(path: Path) -> None:
    a_store(path)
    raw = bytearray(path.read_bytes())
    raw[16:100] = b"\xa5" * 84
    path.write_bytes(raw)


def nobodys_store(path: Path) -> None:
    a_store(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM cryptoproto_store")
    connection.close()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (a_text, "another kind of file"),
        (another_database, "database of something else"),
        (another_application, "database of something else"),
        (a_newer_version, "newer version"),
        (a_cut_store, "malformed|damaged|not a database"),
        (a_damaged_table, "malformed|damaged|not a database"),
        (a_damaged_head, "malformed|damaged|not a database"),
        (nobodys_store, "damaged"),
        (lambda path: path.mkdir(), "is no file"),
    ],
)
def test_what_is_no_sound_store_is_refused_and_left_as_it_is(
    path: Path, make: Callable[[Path], None], complaint: str
) -> None:
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    for _ in range(2):
        with pytest.raises(cp.ConfigurationError, match=complaint):
            SqliteStore(path).open(*ALICE)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="no folder"):
        SqliteStore(tmp_path / "nowhere" / "a.db").open(*ALICE)


@pytest.mark.parametrize("make", [lambda path: path.touch(), lambda path: sqlite3.connect(path).close()])
def test_an_empty_file_becomes_a_store(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    a_store(path)
    store = SqliteStore(path)
    store.open(*ALICE)
    assert len(store.outbox()) == 200
    store.close()


def test_it_must_be_open(path: Path) -> None:
    store = SqliteStore(path)
    for use in (store.outbox, lambda: store.put(entry()), lambda: store.transaction().__enter__()):
        with pytest.raises(cp.ConfigurationError, match="not open"):
            use()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_cannot_use_it(sqlite: SqliteStore) -> None:
    child = os.fork()
    if child == 0:
        try:
            sqlite.put(entry())
        except cp.ConfigurationError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert sqlite.outbox() == []


def test_a_write_that_fails_says_so_and_can_be_repeated(sqlite: SqliteStore) -> None:
    sqlite.advance(4)
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # another program, against all advice
    with pytest.raises(cp.StoreError, match="cannot write"):
        sqlite.flush()
    with pytest.raises(OSError, match="cannot write"):
        sqlite.put(entry())
    with pytest.raises(cp.StoreError, match="cannot write"), sqlite.transaction():
        pass
    other.execute("ROLLBACK")
    sqlite.flush()
    assert other.execute("SELECT position FROM cryptoproto_store").fetchone() == (4,)
    other.close()


# Positions


def stored(store: SqliteStore) -> int | None:
    connection = sqlite3.connect(store.path)
    position: int | None = connection.execute("SELECT position FROM cryptoproto_store").fetchone()[0]
    connection.close()
    return position


def test_a_position_is_written_when_it_is_flushed(path: Path) -> None:
    store = SqliteStore(path)
    store.open(*ALICE)
    store.advance(7)
    assert (store.position, stored(store)) == (7, None)
    store.flush()
    assert stored(store) == 7
    before = store._commits
    store.flush()  # nothing new
    assert store._commits == before
    store.close()


def test_checkpoints_are_made_beside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "_CHECKPOINT_COMMITS", 50)
    store = SqliteStore(path)
    store.open(*ALICE)
    threads = set()
    real = sqlite_store._checkpoint

    def noticed(path: Path) -> None:
        threads.add(threading.current_thread().name)
        real(path)

    monkeypatch.setattr(sqlite_store, "_checkpoint", noticed)
    for number in range(600):
        store.remove(store.put(entry(number)), number)
        checkpointer = store._checkpointer
        if checkpointer is not None and checkpointer.is_alive():
            checkpointer.join()  # a pause between commits, as there are most of the time
    assert threads == {"cryptoproto-checkpoint"}
    assert path.with_name("alice.db-wal").stat().st_size < 50 * 8 * 4096  # the log was begun anew, again and again
    store.close()
    assert {file.name for file in path.parent.iterdir()} == {"alice.db", "alice.db-lock"}


# The user's own tables


@pytest.fixture
def mine(sqlite: SqliteStore) -> SqliteStore:
    with sqlite.transaction() as db:
        db.execute("CREATE TABLE fills (transaction_id INTEGER PRIMARY KEY)")
    assert sqlite.position is None
    return sqlite


def fills(store: SqliteStore) -> list[int]:
    connection = sqlite3.connect(store.path)
    found = [number for (number,) in connection.execute("SELECT transaction_id FROM fills ORDER BY 1")]
    connection.close()
    return found


def insert(store: SqliteStore, transaction_id: int) -> None:
    with store.transaction() as db:
        db.execute("INSERT INTO fills VALUES (?)", (transaction_id,))


def test_a_transaction_commits_the_position_too(mine: SqliteStore) -> None:
    mine.advance(8)  # of a group that is not full
    mine.watch(lambda: 9)
    insert(mine, 9)
    assert (stored(mine), mine.position, fills(mine)) == (9, 9, [9])
    mine.advance(9)
    assert mine.position == 9


def test_an_exception_undoes_both(mine: SqliteStore) -> None:
    mine.watch(lambda: 8)
    insert(mine, 8)
    mine.watch(lambda: 9)
    with suppress(KeyError), mine.transaction() as db:
        db.execute("INSERT INTO fills VALUES (9)")
        raise KeyError
    assert (stored(mine), mine.position, fills(mine)) == (8, 8, [8])
    with pytest.raises(sqlite3.IntegrityError):
        insert(mine, 8)
    assert (stored(mine), mine.position, fills(mine)) == (8, 8, [8])


def test_after_a_failure_the_position_stays(mine: SqliteStore) -> None:
    mine.watch(lambda: 9)
    mine.watch(lambda: None)  # the user's code has failed
    insert(mine, 1)
    assert (stored(mine), mine.position) == (None, None)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_the_end_of_a_transaction_is_the_end_of_its_block(mine: SqliteStore, end: str) -> None:
    mine.watch(lambda: 9)
    with pytest.raises(cp.ConfigurationError, match="was ended within"), mine.transaction() as db:
        db.execute(end)
    assert (stored(mine), mine.position) == (None, None)
    insert(mine, 9)
    assert stored(mine) == 9


def test_one_transaction_at_a_time(mine: SqliteStore) -> None:
    with mine.transaction(), pytest.raises(cp.ConfigurationError, match="one at a time"), mine.transaction():
        pass


def test_the_outbox_while_a_transaction_is_open(mine: SqliteStore) -> None:
    """Nothing of the outbox can be undone with it."""
    first, second = mine.put(entry(1)), mine.put(entry(2))
    mine.watch(lambda: 9)
    with suppress(KeyError), mine.transaction():
        mine.remove(second, 8)
        mine.advance(300)
        mine.flush()
        with pytest.raises(cp.ConfigurationError, match="cannot be sent while"):
            mine.put(entry(3))
        raise KeyError
    assert mine.outbox() == [entry(1, key=first)]
    assert mine.settled_through == 8
    assert (stored(mine), mine.position) == (None, 300)
    mine.flush()
    assert stored(mine) == 300


# Killed


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
        for ending in ("", "-wal"):
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
