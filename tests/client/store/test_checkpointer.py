"""Checkpoints are made in a thread."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cryptoproto.client.store import checkpointer as checkpointer_module
from cryptoproto.client.store.sqlite import SqliteStore
from tests.support.stores import ALICE, entry


def test_checkpoints_are_made_beside(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer_module, "_COMMITS", 50)
    store = SqliteStore(path)
    store.open(*ALICE)
    threads = set()
    real = checkpointer_module._checkpoint

    def noticed(path: Path) -> None:
        threads.add(threading.current_thread().name)
        real(path)

    monkeypatch.setattr(checkpointer_module, "_checkpoint", noticed)
    for number in range(600):
        store.remove(store.put(entry(number)), number)
        store._checkpointer.join()  # a pause between commits, as there are most of the time
    assert threads == {"cryptoproto-checkpoint"}
    assert path.with_name("alice.db-wal").stat().st_size < 50 * 8 * 4096  # the log was begun anew, again and again
    store.close()
    assert {file.name for file in path.parent.iterdir()} == {"alice.db", "alice.db-lock"}
