"""A lock follows the file: no second user under the same name, a hard link, or a new name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cryptoproto import file_lock
from cryptoproto.file_lock import FileInUse, FileLock

HOLD = """
import sys
from cryptoproto.file_lock import FileLock
lock = FileLock(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "exchange.db"
    path.write_text("content")
    return path


@contextmanager
def held_by_another_process(path: Path) -> Iterator[int]:
    command = [sys.executable, "-c", HOLD, str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        yield process.pid
        process.stdin.close()


def test_a_second_lock_names_the_process(path: Path) -> None:
    lock = FileLock(path)
    with pytest.raises(FileInUse, match=f"process {os.getpid()}"):
        FileLock(path)
    lock.release()
    lock.release()
    FileLock(path).release()


def test_a_hard_link_of_a_file_in_use_is_refused(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "other" / "link.db"
    link.parent.mkdir()
    os.link(path, link)
    lock = FileLock(path)
    with pytest.raises(FileInUse, match=f"process {os.getpid()}, under another name"):
        FileLock(link)
    lock.release()
    lock = FileLock(link)
    lock.release()


def test_a_file_that_was_renamed_while_in_use_is_refused(path: Path, tmp_path: Path) -> None:
    lock = FileLock(path)
    path.rename(tmp_path / "renamed.db")
    with pytest.raises(FileInUse, match="under another name"):
        FileLock(tmp_path / "renamed.db")
    lock.release()


def test_other_processes_are_refused_under_any_name(path: Path, tmp_path: Path) -> None:
    os.link(path, tmp_path / "link.db")
    with held_by_another_process(path) as process:
        with pytest.raises(FileInUse, match=f"process {process}"):
            FileLock(path)
        with pytest.raises(FileInUse, match="another process, under another name"):
            FileLock(tmp_path / "link.db")
    FileLock(tmp_path / "link.db").release()


def test_a_file_that_does_not_exist_yet_is_locked_once_it_does(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    lock = FileLock(path)
    path.touch()
    os.link(path, tmp_path / "link.db")
    lock.follow()
    lock.follow()
    with pytest.raises(FileInUse):
        FileLock(tmp_path / "link.db")
    lock.release()


def test_without_locks_that_follow_files_only_the_name_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_lock, "_FOLLOWS_FILES", False)
    lock = FileLock(path)
    with pytest.raises(FileInUse):
        FileLock(path)
    lock.release()


def test_a_lock_in_a_folder_that_does_not_exist_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "nowhere" / "exchange.db")


def test_a_system_without_fcntl(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(NotImplementedError, match="no POSIX file locks"):
        FileLock(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_keep_the_lock(path: Path) -> None:
    lock = FileLock(path)
    reading, writing = os.pipe()
    born, birth = os.pipe()
    child = os.fork()
    if child == 0:  # lives until the parent closes its end of the pipe
        os.write(birth, b".")
        os.close(writing)
        os.read(reading, 1)
        os._exit(lock._beside is not None)
    os.read(born, 1)
    with pytest.raises(FileInUse):
        FileLock(path)  # the child has not ended the lock of its parent
    lock.release()
    FileLock(path).release()
    for end in (reading, writing, born, birth):
        os.close(end)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
