"""A disk that loses what was not synced: what a crash leaves of the files of a journal or a store.

The files are real SQLite files in memory. SQLite in WAL mode syncs the log at each commit with ``synchronous=FULL``,
and otherwise only at checkpoints, of which simulated worlds are too short to need one. A crash keeps the log up to the
last sync, and of what was written after it any number of bytes.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path
from typing import Final

__all__ = ["Disk"]

_FULL: Final = 2


class Disk:
    """The files of a world.

    Args:
        folder: where they are.
        choice: draws how much of what was not synced is there after a crash.
    """

    def __init__(self, folder: Path, choice: random.Random) -> None:
        self.folder = folder
        self._choice = choice
        self._synced: dict[str, int] = {}
        self._files = 0

    def new_path(self, name: str) -> Path:
        """A name that was not used before."""
        self._files += 1
        return self.folder / f"{name}-{self._files}.db"

    def committed(self, path: str, connection: sqlite3.Connection) -> None:
        """Something was committed by *connection*."""
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        if synchronous >= _FULL:
            self._synced[path] = _size(path)

    def killed(self, path: Path, name: str) -> Path:
        """What the end of a process leaves: everything that was written."""
        return self._copy(path, name, _size(os.fspath(path)))

    def crashed(self, path: Path, name: str) -> Path:
        """What a loss of power leaves."""
        size = _size(os.fspath(path))
        synced = self._synced.get(os.fspath(path), 0)
        kept = size if self._choice.random() < 0.3 else self._choice.randint(synced, size)
        return self._copy(path, name, kept)

    def _copy(self, path: Path, name: str, log_bytes: int) -> Path:
        target = self.new_path(name)
        shutil.copy(path, target)
        if log_bytes:
            Path(f"{target}-wal").write_bytes(Path(f"{path}-wal").read_bytes()[:log_bytes])
        outbox = Path(f"{path}-outbox")
        if outbox.exists():  # whole: a store waits for the disk with each record, or does not need to
            shutil.copy(outbox, f"{target}-outbox")
        return target


def _size(path: str) -> int:
    try:
        return os.stat(f"{path}-wal").st_size
    except FileNotFoundError:
        return 0
