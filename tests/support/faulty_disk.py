"""A disk that fails as ordered: a library that a process is started with answers its calls to write and to sync.

It is compiled from ``faulty_disk.c``, so it needs gcc and Linux. Orders can be given from any process.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Final

import pytest

__all__ = ["DiskFault", "FaultyDisk", "compiled_library", "needs_faulty_disk"]

SOURCE: Final = Path(__file__).with_name("faulty_disk.c")
_ORDER: Final = struct.Struct("iii")

needs_faulty_disk = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None,
    reason="a failing disk is simulated by a library that is compiled with gcc, on Linux",
)


class DiskFault(IntEnum):
    """How a disk fails. The numbers are those of ``faulty_disk.c``."""

    NONE = 0
    FULL = 1
    READ_ONLY = 2
    WRITE_ERROR = 3
    SYNC_ERROR = 4
    TORN_ERROR = 5
    """Half of the bytes are written, and then there is an error."""
    TORN_KILL = 6
    """Half of the bytes are written, and then the process is gone."""


class FaultyDisk:
    """Orders for the processes that are started with :meth:`environment`."""

    def __init__(self, order: str | os.PathLike[str]) -> None:
        self.path = Path(order)
        if not self.path.exists():
            self.path.write_bytes(bytes(_ORDER.size))
        with self.path.open("r+b") as file:
            self._order = mmap.mmap(file.fileno(), _ORDER.size)

    def environment(self, library: Path, folder: Path) -> dict[str, str]:
        """What to start a process with, so that this is the disk of *folder*."""
        return {
            **os.environ,
            "LD_PRELOAD": str(library),
            "FAULTY_DISK": str(self.path),
            "FAULTY_DISK_FOLDER": str(folder.resolve()),
        }

    def order(self, fault: DiskFault, after: int = 0) -> None:
        """Fail like this from now on, once *after* more calls have succeeded."""
        self._order[:] = _ORDER.pack(0, 0, 0)
        self._order[:] = _ORDER.pack(fault, after, 0)

    def repair(self) -> int:
        """Be a good disk; how many calls have failed."""
        struck: int = _ORDER.unpack(self._order[:])[2]
        self._order[:] = _ORDER.pack(0, 0, 0)
        return struck

    @property
    def struck(self) -> int:
        """How many calls have failed since the last order."""
        count: int = _ORDER.unpack(self._order[:])[2]
        return count


def compiled_library(folder: Path) -> Path:
    """The library, compiled into *folder*."""
    library = folder / "faulty_disk.so"
    if not library.exists():
        subprocess.run(
            ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True
        )
    return library
