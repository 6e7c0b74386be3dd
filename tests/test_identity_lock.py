"""The lock on a client id: seen by other processes, and gone with the process that held it."""

from __future__ import annotations

import logging
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.identity_lock import IdentityLock, runtime_folder

HOLD = """
import sys
from pathlib import Path
from cryptoproto.identity_lock import IdentityLock

lock = IdentityLock("alice", "SHA256:1", folder=Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


def lock_of(folder: Path, client_id: str = "alice", fingerprint: str = "SHA256:1") -> IdentityLock:
    return IdentityLock(client_id, fingerprint, folder=folder)


def holder(folder: Path) -> subprocess.Popen[bytes]:
    """A process that holds the lock until its input ends."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_lock_is_exclusive_until_it_is_released(tmp_path: Path) -> None:
    first, second = lock_of(tmp_path), lock_of(tmp_path)
    first.acquire(exclusive=True)
    first.acquire(exclusive=True)  # it is held by now
    with pytest.raises(cp.IdentityInUse, match=f"'alice' is in use on this machine by process {os.getpid()}") as caught:
        second.acquire(exclusive=True)
    assert (caught.value.client_id, caught.value.pid) == ("alice", os.getpid())
    assert len(list(tmp_path.iterdir())) == 1
    first.release()
    first.release()
    second.acquire(exclusive=True)
    assert second.is_held
    second.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("client_id", "fingerprint"), [("bob", "SHA256:1"), ("alice", "SHA256:2")])
def test_other_clients_and_exchanges_are_not_concerned(tmp_path: Path, client_id: str, fingerprint: str) -> None:
    first, second = lock_of(tmp_path), lock_of(tmp_path, client_id, fingerprint)
    first.acquire(exclusive=True)
    second.acquire(exclusive=True)
    for lock in (first, second):
        lock.release()


def test_without_exclusive_it_warns_and_takes_the_lock_anyway(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second, third = lock_of(tmp_path), lock_of(tmp_path), lock_of(tmp_path)
    first.acquire()
    assert not caplog.records
    second.acquire()
    assert "client id 'alice' is in use on this machine by this process" in caplog.text
    first.release()
    with pytest.raises(cp.IdentityInUse):  # the second one holds it
        third.acquire(exclusive=True)
    second.release()


@pytest.mark.parametrize("number", [signal.SIGKILL, None])
def test_the_lock_of_another_process_vanishes_with_it(
    tmp_path: Path, number: signal.Signals | None, caplog: pytest.LogCaptureFixture
) -> None:
    process = holder(tmp_path)
    lock = lock_of(tmp_path)
    with process:
        with pytest.raises(cp.IdentityInUse, match=f"by process {process.pid};"):
            lock.acquire(exclusive=True)
        lock.acquire()
        assert f"by process {process.pid};" in caplog.text
        lock.release()
        if number is not None:
            process.send_signal(number)
    lock.acquire(exclusive=True)
    lock.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    lock, released = lock_of(tmp_path), lock_of(tmp_path)
    released.acquire()
    released.release()
    lock.acquire()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # lives until the parent closes its end of the pipe
        os.close(writing)
        os.read(reading, 1)
        os._exit(lock.is_held or released.is_held)
    lock.release()
    other = lock_of(tmp_path)
    other.acquire(exclusive=True)
    other.release()
    os.close(reading)
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_mark_that_was_already_removed_is_no_error(tmp_path: Path) -> None:
    lock = lock_of(tmp_path)
    lock.acquire()
    for path in tmp_path.iterdir():
        path.unlink()
    lock.release()
    assert not lock.is_held


def test_a_mark_that_is_removed_while_others_look_at_it_counts_as_released(tmp_path: Path) -> None:
    other = lock_of(tmp_path)
    other.acquire()
    (path,) = tmp_path.iterdir()
    other.release()
    path.symlink_to(tmp_path / "gone")  # listed in the folder, but there is nothing to open
    lock = lock_of(tmp_path)
    lock.acquire(exclusive=True)
    assert lock.is_held
    lock.release()


def test_the_folder_belongs_to_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = runtime_folder()
    assert folder == tmp_path / "cryptoproto" == runtime_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert runtime_folder() == tmp_path / f"cryptoproto-{os.getuid()}"


def test_a_folder_that_others_can_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "cryptoproto").mkdir()
    (tmp_path / "cryptoproto").chmod(0o755)
    lock = IdentityLock("alice", "SHA256:1")
    lock.acquire()
    assert not lock.is_held
    assert caplog.records[-1].levelno == logging.WARNING
    assert "belongs to this user alone" in caplog.text
    with pytest.raises(cp.ConfigurationError, match="set XDG_RUNTIME_DIR"):
        lock.acquire(exclusive=True)


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "cryptoproto").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(PermissionError):
        runtime_folder()
