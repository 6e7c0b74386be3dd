"""Checkpoints of a store's file, made in a thread: each waits for the disk twice."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

__all__ = ["Checkpointer"]

_COMMITS: Final = 1000


class Checkpointer:
    """Makes a checkpoint of the file *path* after every thousand commits, so that no commit has to."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commits = 0
        self._thread: threading.Thread | None = None

    def count_commit(self) -> None:
        """There was a commit."""
        self._commits += 1
        if self._commits < _COMMITS or (self._thread is not None and self._thread.is_alive()):
            return
        self._commits = 0
        self._thread = threading.Thread(
            target=_checkpoint, args=(self._path,), name="cryptoproto-checkpoint", daemon=True
        )
        self._thread.start()

    def join(self) -> None:
        """Wait for the checkpoint that is being made."""
        if self._thread is not None:
            self._thread.join()


def _checkpoint(path: Path) -> None:
    """Move the log into the file."""
    # A failure here is harmless: the next checkpoint tries again, and a commit that fails raises its own error.
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
