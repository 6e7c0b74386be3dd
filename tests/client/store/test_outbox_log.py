"""The log of the outbox: what it finds again, and where it ends."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.store import outbox_log
from cryptoproto.client.store.outbox_log import Change, OutboxLog, Put, ReportRead, Settled, check, read_log

IDENTITY = 0xC0FFEE


@pytest.fixture
def log(path: Path) -> Iterator[OutboxLog]:
    log = OutboxLog(path, IDENTITY, sync=False)
    yield log
    log.close()


def put(key: int) -> Put:
    return Put(key, "place", b'{"n":%d}' % key, 2**62, None if key % 2 else 2**63 - 1, key)


CHANGES: list[Change] = [put(1), put(2), Settled(7, 1), Settled(-1, None, 1, b"\x00late"), ReportRead(1), put(3)]


def fill(log: OutboxLog, *changes: Change) -> None:
    for change in changes:
        log.append(change)


def test_what_was_written_is_found(log: OutboxLog, path: Path) -> None:
    fill(log, *CHANGES)
    assert read_log(path, IDENTITY, 0) == CHANGES
    assert read_log(path, IDENTITY, 4) == CHANGES[4:]
    assert (log.length, log.number) == (6, 6)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_log(path.with_name("other"), IDENTITY, 0) == []


@pytest.mark.parametrize("change", CHANGES)
def test_what_can_be_stored(change: Change) -> None:
    check(change)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sequence", 2**63, "does not fit into a signed 64-bit integer"),
        ("client_order_id", -(10**50), "does not fit into a signed 64-bit integer"),
        ("payload", "{}", "cannot be stored: Expected `bytes`, got `str`"),
        ("created_ns", None, "cannot be stored: Expected `int`, got `None`"),
        ("kind", object(), "cannot be stored: "),
    ],
)
def test_what_cannot_be_stored(field: str, value: Any, words: str) -> None:
    change = put(1)
    setattr(change, field, value)
    with pytest.raises(cp.ConfigurationError, match=f"^{field} {words}.*; nothing was stored$"):
        check(change)


def test_it_ends_at_the_first_record_that_is_not_whole(log: OutboxLog, path: Path) -> None:
    ends = []
    for change in CHANGES:
        log.append(change)
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert read_log(path, IDENTITY, 0) == CHANGES[: sum(end <= size for end in ends)]
        flipped = bytearray(whole)
        flipped[size] ^= 1
        path.write_bytes(flipped)
        assert read_log(path, IDENTITY, 0) == CHANGES[: sum(end <= size for end in ends)]


def test_a_log_with_another_identity_is_empty(log: OutboxLog, path: Path) -> None:
    fill(log, *CHANGES)
    assert read_log(path, IDENTITY + 1, 0) == []
    OutboxLog(path, IDENTITY + 1, sync=False).close()
    assert path.stat().st_size == 0


@pytest.mark.parametrize("count", range(7))
def test_records_of_an_earlier_round_are_not_found(count: int, log: OutboxLog, path: Path) -> None:
    """They are still there, behind those that have overwritten the first of them."""
    fill(log, *CHANGES)
    log.begin_anew()
    assert log.length == 0
    fill(log, *CHANGES[:count])
    assert read_log(path, IDENTITY, 6) == CHANGES[:count]
    assert log.number == 6 + count


class FailingCall:
    """``pwrite`` or a sync that fails when asked to, after it has written some bytes or all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, log: OutboxLog, written: int | None) -> None:
        self._real = os.pwrite
        self._written = written
        self.fails = False
        log._sync = written is None
        monkeypatch.setattr(outbox_log, "_sync", self.sync)
        monkeypatch.setattr(os, "pwrite", self.pwrite)

    def sync(self, descriptor: int) -> None:
        if self.fails:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def pwrite(self, descriptor: int, data: bytes, at: int) -> int:
        if not self.fails or self._written is None:
            return self._real(descriptor, data, at)
        if self._written == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._real(descriptor, data[: self._written], at)
        self._written = 0
        return written


@pytest.mark.parametrize("written", [0, 9, None])
@pytest.mark.parametrize("begins_anew", [False, True])
def test_a_record_whose_writing_failed_is_not_found(
    written: int | None, begins_anew: bool, log: OutboxLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FailingCall(monkeypatch, log, written)
    fill(log, put(1), put(2))
    disk.fails = True
    with pytest.raises(OSError, match=r"No space left|Input/output"):
        log.append(put(3))
    disk.fails = False
    assert (log.length, log.number) == (2, 2)
    found: list[Any] = [put(1), put(2)]
    if begins_anew:
        log.begin_anew()
        found = []
        assert read_log(path, IDENTITY, 2) == []
    log.append(put(4))
    assert read_log(path, IDENTITY, 2 if begins_anew else 0) == [*found, put(4)]


def test_what_cannot_be_cut_off_is_cut_off_later(log: OutboxLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FailingCall(monkeypatch, log, None)
    log.append(put(1))
    disk.fails = True
    with pytest.raises(OSError, match="Input/output"):
        log.append(put(2))
    with monkeypatch.context() as patched:

        def no_ftruncate(descriptor: int, size: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        patched.setattr(os, "ftruncate", no_ftruncate)
        log.begin_anew()
        with pytest.raises(OSError, match="Input/output"):
            log.append(put(2))
    disk.fails = False
    log.append(put(5))
    assert read_log(path, IDENTITY, 1) == [put(5)]


@pytest.mark.parametrize("written", [20, 1])
def test_short_writes_are_completed(written: int, log: OutboxLog, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, at: real(descriptor, data[:written], at))
    log.append(ReportRead(1))
    assert len(path.read_bytes()) > 20
    assert read_log(path, IDENTITY, 0) == [ReportRead(1)]


def test_a_log_that_waits_for_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append("folder"))
    monkeypatch.setattr(outbox_log, "_sync", lambda descriptor: synced.append("record"))
    log = OutboxLog(path, IDENTITY, sync=True)
    fill(log, put(1), put(2))
    log.close()
    assert synced == ["folder", "record", "record"]


def test_a_folder_that_cannot_be_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        real(descriptor)

    real = os.close
    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(os, "close", close)
    with pytest.raises(OSError, match="Input/output"):
        OutboxLog(path, IDENTITY, sync=True)
    assert len(closed) == 2
