"""Locks on files that one process at a time may use: a journal, a store.

The lock has two parts. One is a file beside the target, ``<name>-lock``, which holds the process id of its user. The
other, on Linux, is on the target itself and therefore follows the file, not its name: a hard link, or a file that was
renamed while in use, cannot be opened a second time. Both end with the process, however it ends. A forked child does
not keep them alive.

On other systems the locks of ``flock`` and those of SQLite exclude each other, so only the first part is used there.
"""

from __future__ import annotations

import os
import sys
import weakref
from typing import Final

from .exceptions import ConfigurationError

__all__ = ["FileInUse", "FileLock"]

_FOLLOWS_FILES: Final = sys.platform == "linux"

# The files that this process has locked, by device and inode. They must not be opened to find out: closing any
# descriptor of a file ends all POSIX locks of the process on it, those of SQLite included (fcntl, F_SETLK).
_held: set[tuple[int, int]] = set()
_locks: Final[weakref.WeakSet[FileLock]] = weakref.WeakSet()


class FileInUse(ConfigurationError):
    """The file is in use.

    Attributes:
        user: who uses it, ``"process 4711"``.
    """

    def __init__(self, path: str, user: str) -> None:
        super().__init__(f"{path}: in use by {user}")
        self.user = user


class FileLock:
    """The exclusive use of the file *path*, from here until :meth:`release`.

    Take it before SQLite opens the file, call :meth:`follow` once the file exists, and release it after SQLite has
    closed the file. *path* must be resolved: a symbolic link and its target have different names.

    Raises:
        FileInUse: another process, or this one, has the file locked, under this name or another.
        NotImplementedError: this system has no ``fcntl``.
        OSError: the lock's file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            import fcntl  # here, so that programs that lock no file run without it
        except ImportError:
            raise NotImplementedError("this system has no POSIX file locks (fcntl)") from None
        self._flock = fcntl.flock
        self._exclusive = fcntl.LOCK_EX | fcntl.LOCK_NB
        self._path = os.fspath(path)
        self._file: int | None = None
        self._identity: tuple[int, int] | None = None
        self._beside: int | None = os.open(f"{self._path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _locks.add(self)
        try:
            self._lock_name(self._beside)
            if os.path.exists(self._path):
                self.follow()
        except BaseException:
            self.release()
            raise

    def follow(self) -> None:
        """Lock the file itself, which must exist. Idempotent.

        Raises:
            FileInUse: it is locked under another name.
            OSError: it cannot be opened.
        """
        if self._file is not None or not _FOLLOWS_FILES:
            return
        status = os.stat(self._path)
        identity = (status.st_dev, status.st_ino)
        if identity in _held:
            raise FileInUse(self._path, f"process {os.getpid()}, under another name")
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._flock(descriptor, self._exclusive)
        except BlockingIOError:
            os.close(descriptor)
            raise FileInUse(self._path, "another process, under another name") from None
        self._file = descriptor
        self._identity = identity
        _held.add(identity)

    def release(self) -> None:
        """Let others use the file. Idempotent."""
        if self._identity is not None:
            _held.discard(self._identity)
        for descriptor in (self._file, self._beside):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._beside = self._identity = None

    def _lock_name(self, descriptor: int) -> None:
        try:
            self._flock(descriptor, self._exclusive)
        except BlockingIOError:
            user = os.read(descriptor, 20).decode("ascii", "replace").strip()
            raise FileInUse(self._path, f"process {user or 'unknown'}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)


def _release_all_after_fork() -> None:
    """Close what a child has inherited: the locks would last until it ends as well. Those of the parent stay."""
    for lock in tuple(_locks):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_all_after_fork)
