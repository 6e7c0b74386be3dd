"""Files that hold secrets: mode 0600, whole or not at all, on the disk before the call returns."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

__all__ = ["world_can_read", "write_private"]


def write_private(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write *data* to *path*, readable by its owner alone, and see it through to the disk.

    The data goes to a scratch file of its own beside the target, is synced, and is then moved or linked into place
    in one step, so that a reader, a crash or a full disk sees the old content or the new, never a part.

    Raises:
        FileExistsError: the name is taken and *overwrite* is false.
        OSError: the file cannot be written; whatever was there before is still there.
    """
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)  # mkstemp says so too, but only on some systems
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        if overwrite:
            os.replace(scratch, path)
        else:
            os.link(scratch, path)  # unlike a rename, fails if the name is taken
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)
    _sync_folder(path.parent)


def world_can_read(path: Path) -> bool:
    """Whether users other than the owner and the group can get at the file."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o007)


def _sync_folder(folder: Path) -> None:
    """A rename is durable only once the folder that records it is."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
