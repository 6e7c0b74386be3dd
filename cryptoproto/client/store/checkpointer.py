"""Checkpoints of a store's file, made in a thread, and when nothing else is written: each waits for the disk twice."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

__all__ = ["Checkpointer"]

_PAGES: Final = 1000
_QUIET_S: Final = 0.2
_PATIENCE_S: Final = 10.0
_EVENTS_A_PAGE: Final = 16


class Checkpointer:
    """Makes a checkpoint of the file *path* after every thousand pages or so, so that no commit has to.

    It waits until there was no commit for a moment, because what is written during a checkpoint has to wait for the
    disk, too. If there is no such moment within ten seconds, it waits no longer.

    Afterwards SQLite's log begins anew, and whoever writes first syncs its start. That is done here, too.

    Attributes:
        writing: held while the first page of a new log is written; a transaction begins under it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pages = 0
        self._commits = 0
        self._thread: threading.Thread | None = None
        self._is_ending = threading.Event()
        self.writing: threading.Lock = threading.Lock()

    def count_commit(self, events: int = 0) -> None:
        """There was a commit, with so many *events* of a history."""
        self._commits += 1
        self._pages += 1 + events // _EVENTS_A_PAGE
        if self._pages < _PAGES or (self._thread is not None and self._thread.is_alive()):
            return
        self._pages = 0
        self._thread = threading.Thread(target=self._run, name="cryptoproto-checkpoint", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the checkpoint that is being made; one that waits for its moment is not made."""
        self._is_ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        latest = time.monotonic() + _PATIENCE_S
        seen = -1
        while seen != self._commits and time.monotonic() < latest:
            seen = self._commits
            if self._is_ending.wait(_QUIET_S):
                return
        seen = self._commits
        _execute(self._path, "PRAGMA wal_checkpoint(PASSIVE)")
        with self.writing:
            if seen == self._commits:  # else the log goes on, or has its start
                _execute(self._path, "PRAGMA synchronous = NORMAL", "UPDATE cryptoproto_store SET id = id")


def _execute(path: Path, *statements: str) -> None:
    """Execute what no harm comes from if it fails: the next checkpoint tries again, and a commit has its own error."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)
