"""A folder for the files that targets write."""

from __future__ import annotations

import atexit
import os
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

__all__ = ["scratch"]


@cache
def scratch() -> Path:
    """In memory, where that is possible: on some disks, opening a file takes a millisecond."""
    memory = Path("/dev/shm")
    path = mkdtemp(prefix="cryptoproto-fuzz-", dir=memory if os.access(memory, os.W_OK) else None)
    atexit.register(rmtree, path, ignore_errors=True)
    return Path(path)
