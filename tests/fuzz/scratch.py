"""The files that targets write."""

from __future__ import annotations

import atexit
import os
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

__all__ = ["written"]


def written(name: str, data: bytes) -> Path:
    """A file that holds *data*. It stays open and is written over, because opening one costs more than reading it."""
    path, file = _opened(name)
    os.pwrite(file, data, 0)
    os.ftruncate(file, len(data))
    return path


@cache
def _opened(name: str) -> tuple[Path, int]:
    path = _folder() / name
    return path, os.open(path, os.O_CREAT | os.O_RDWR, 0o600)


@cache
def _folder() -> Path:
    """In memory, where that is possible: on some disks, opening a file takes a millisecond."""
    memory = Path("/dev/shm")
    path = mkdtemp(prefix="cryptoproto-fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(rmtree, path, ignore_errors=True)
    return Path(path)
