"""Private files: modes, atomic writes, and refusals in words."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.private_file import read_private, write_private, write_public


@pytest.fixture(params=[0o000, 0o022, 0o277], ids=["open", "usual", "strict"])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", b"data", what="secret", overwrite=False)
    write_public(tmp_path / "public", b"data", what="public key", overwrite=False)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "public").stat().st_mode) == 0o644


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"\x00data\n", what="secret", overwrite=False)
    assert read_private(path, what="secret") == b"\x00data\n"
    assert read_private(str(path), what="secret", largest=6) == b"\x00data\n"


def test_a_file_without_a_folder_in_its_name_is_written_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_private("secret", b"data", what="secret", overwrite=False)
    assert os.listdir(tmp_path) == ["secret"]


def test_an_existing_file_is_replaced_only_if_asked(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o644)
    with pytest.raises(cp.ConfigurationError, match=f"{path}: already exists and was not changed"):
        write_private(path, b"new", what="secret", overwrite=False)
    assert path.read_bytes() == b"old"
    write_private(path, b"new", what="secret", overwrite=True)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["secret"]


def test_a_link_is_replaced_and_its_target_is_not_written_to(tmp_path: Path) -> None:
    target, link = tmp_path / "shared", tmp_path / "secret"
    target.write_bytes(b"public")
    link.symlink_to(target)
    write_private(link, b"new", what="secret", overwrite=True)
    assert target.read_bytes() == b"public"
    assert not link.is_symlink()


@pytest.mark.parametrize("call", ["fsync", "fchmod", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(
            cp.ConfigurationError, match=f"{path}: the secret cannot be written: No space left"
        ) as caught:
            write_private(path, b"hunter2", what="secret", overwrite=True)
    assert "hunter2" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["secret"]


def test_data_and_folder_are_synced_before_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    genuine_fsync, genuine_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        steps.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync data")
        genuine_fsync(descriptor)

    def replace(source: str, target: Path) -> None:
        steps.append("replace")
        genuine_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_private(tmp_path / "secret", b"data", what="secret", overwrite=True)
    assert steps == ["sync data", "replace", "sync folder"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "secret"
    with pytest.raises(cp.ConfigurationError, match=f"{path}: the secret cannot be written: No such file or directory"):
        write_private(path, b"data", what="secret", overwrite=False)


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o644, 0o660, 0o777])
def test_a_file_that_others_can_access_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"hunter2")
    path.chmod(mode)
    with pytest.raises(cp.ConfigurationError) as caught:
        read_private(path, what="private key")
    text = f"{path}: mode {mode:04o} gives other users access to the private key; run: chmod 600 {path}"
    assert str(caught.value) == text


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"data")
    path.chmod(mode)
    assert read_private(path, what="secret") == b"data"


def test_the_mode_of_a_links_target_counts(tmp_path: Path) -> None:
    target, link = tmp_path / "open", tmp_path / "link"
    target.write_bytes(b"data")
    target.chmod(0o640)
    link.symlink_to(target)
    with pytest.raises(cp.ConfigurationError, match="mode 0640"):
        read_private(link, what="secret")


def test_a_pipe_is_read_whatever_its_mode(tmp_path: Path) -> None:
    """As a shell passes it for ``<(pass show key)``."""
    reader, writer = os.pipe()
    os.write(writer, b"data")
    os.close(writer)
    os.fchmod(reader, 0o666)
    try:
        assert read_private(f"/dev/fd/{reader}", what="secret") == b"data"
    finally:
        os.close(reader)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "none", what="secret")
    with pytest.raises(cp.ConfigurationError, match="the secret cannot be read: Is a directory"):
        read_private(tmp_path, what="secret")
    path = tmp_path / "large"
    write_private(path, bytes(11), what="secret", overwrite=False)
    with pytest.raises(cp.ConfigurationError, match=f"{path}: more than 10 bytes, too large for a secret"):
        read_private(path, what="secret", largest=10)
