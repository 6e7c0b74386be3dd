"""A session: its nonces, and the file that keeps it."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.apikeys import LoginOutcome, Session

OUTCOME = LoginOutcome("id", b"secret", 100.0)


def test_the_nonce_only_grows_whatever_the_clock_does() -> None:
    times = iter([5_000_000, 5_000_000, 1_000_000, 9_000_000])
    session = Session(OUTCOME, wall_clock_ns=lambda: next(times))
    assert [session.next_nonce() for _ in range(4)] == [5000, 5001, 5002, 9000]


def test_threads_never_share_a_nonce() -> None:
    session = Session(OUTCOME, wall_clock_ns=lambda: 0)
    found: list[int] = []

    def work() -> None:
        found.extend(session.next_nonce() for _ in range(500))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(found)) == 2000


def test_a_session_continues_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    before = Session(OUTCOME, wall_clock_ns=lambda: 7_000_000)
    before.save(path)
    last = before.next_nonce()  # used after it was saved
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    after = Session.load(path, wall_clock_ns=lambda: 8_000_000)
    assert after.next_nonce() > last
    assert (after.session_id, after.keepalive_s) == ("id", 100.0)
    after.save(path)
    assert Session.load(path, wall_clock_ns=lambda: 0).next_nonce() > last  # even if the clock was set back
    assert [entry.name for entry in tmp_path.iterdir()] == ["session.json"]


def test_session_files_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    with pytest.raises(cp.ConfigurationError, match="log in first"):
        Session.load(path)
    path.write_text(json.dumps({"secret": "hunter2"}))
    path.chmod(0o644)
    with pytest.raises(cp.ConfigurationError, match="chmod 600"):
        Session.load(path)
    path.chmod(0o600)
    with pytest.raises(cp.ConfigurationError, match="holds no session") as caught:
        Session.load(path)
    assert "hunter2" not in str(caught.value)
    path.write_text('{"x": ' + "[" * 5000)
    with pytest.raises(cp.ConfigurationError, match="holds no session"):
        Session.load(path)
    with pytest.raises(cp.ConfigurationError, match="cannot be written"):
        Session(OUTCOME).save(tmp_path / "nowhere" / "session.json")
    assert os.listdir(tmp_path) == ["session.json"]


def test_a_nonce_fits_into_64_bits() -> None:
    with pytest.raises(cp.ConfigurationError, match="clock of this machine"):
        Session(OUTCOME, wall_clock_ns=lambda: 2**80).next_nonce()


def test_a_session_shows_nothing_and_is_not_pickled() -> None:
    session = Session(OUTCOME)
    assert "secret" not in repr(session)
    with pytest.raises(TypeError, match="not pickled"):
        session.__reduce__()
