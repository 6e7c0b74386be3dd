"""Which processes of this user are connected under which client id, so that one does not end another by accident.

An exchange allows one connection for each client id and closes the older one with code 4000. Here each process marks
the identities that it uses with a file in the user's runtime folder, and holds a lock on that file (``flock``). The
operating system releases the lock when the process ends, however it ends, so a mark without a lock is stale.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import stat
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .exceptions import ConfigurationError, IdentityInUse

__all__ = ["IdentityLock", "runtime_folder"]

logger: logging.Logger = logging.getLogger("cryptoproto.identity_lock")

_numbers: Final = itertools.count()
_held: Final[weakref.WeakSet[IdentityLock]] = weakref.WeakSet()


class IdentityLock:
    """Marks a client id at an exchange as in use by this process.

    Several locks on one identity can be held at once, because a takeover can be intended. Whether others hold one is
    what :meth:`acquire` finds out. Only processes of the same user on the same machine see each other.

    Args:
        client_id: the client id.
        server_fingerprint: the fingerprint of the exchange's public key, which stands for the exchange.
        folder: where the marks are; :func:`runtime_folder` by default.
    """

    def __init__(self, client_id: str, server_fingerprint: str, *, folder: Path | None = None) -> None:
        self._client_id = client_id
        self._prefix = hashlib.sha256(f"{server_fingerprint}\0{client_id}".encode()).hexdigest()[:32]
        self._folder = folder
        self._path: Path | None = None
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this lock is held."""
        return self._descriptor is not None

    def acquire(self, *, exclusive: bool = False) -> None:
        """Mark the identity as in use. Idempotent.

        If somebody else uses it, or if no mark can be made, this is logged as a warning and nothing else happens. Where
        the platform has no ``flock``, no mark is made.

        Args:
            exclusive: raise an error instead of logging.

        Raises:
            IdentityInUse: *exclusive*, and another lock on the identity is held; the error has its process id.
            ConfigurationError: *exclusive*, and the mark cannot be made.
        """
        if self.is_held or os.name != "posix":
            return
        try:
            folder = self._folder or runtime_folder()
            self._mark(folder)
            holder = next(self._others(folder), None)
        except OSError as error:
            self.release()
            words = f"cannot mark client id {self._client_id!r} as in use: {error}"
            if exclusive:
                raise ConfigurationError(f"{words}; set XDG_RUNTIME_DIR to a folder that only you can use") from error
            logger.warning("%s", words)
            return
        if holder is None:
            return
        if exclusive:
            self.release()
            raise IdentityInUse(self._client_id, holder)
        logger.warning(
            "client id %r is in use on this machine by %s; the exchange will close that connection",
            self._client_id,
            "this process" if holder == os.getpid() else f"process {holder}",
        )

    def release(self) -> None:
        """Remove the mark. Idempotent."""
        descriptor, path = self._descriptor, self._path
        self._descriptor = self._path = None
        if path is not None:
            with contextlib.suppress(OSError):  # somebody has cleaned the folder
                path.unlink()
        if descriptor is not None:
            os.close(descriptor)

    def _mark(self, folder: Path) -> None:
        """Make a file that has the process id in its name, locked before anybody can see it under that name."""
        import fcntl

        name = f"{self._prefix}-{os.getpid()}-{next(_numbers)}"
        hidden = folder / f".{name}"
        self._descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._path = hidden
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._path = hidden.rename(folder / name)
        _held.add(self)

    def _others(self, folder: Path) -> Iterator[int]:
        """The processes that hold another lock on the identity; stale marks are removed."""
        for path in sorted(folder.glob(f"{self._prefix}-*")):
            if path != self._path and _is_locked(path):
                yield int(path.name.split("-")[1])

    def close_after_fork(self) -> None:
        """Leave the lock to the parent: called in a child process, which shares it and would keep it alive."""
        descriptor, self._descriptor, self._path = self._descriptor, None, None
        if descriptor is not None:
            os.close(descriptor)


def runtime_folder() -> Path:
    """The folder for the marks of this user: below ``XDG_RUNTIME_DIR``, or in the system's temporary folder.

    It is made if it does not exist.

    Raises:
        OSError: it cannot be made, or another user owns it or could write to it.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "cryptoproto") if runtime else Path(tempfile.gettempdir(), f"cryptoproto-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not a folder that belongs to this user alone (mode 0700)")
    return folder


def _is_locked(path: Path) -> bool:
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # released this moment
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)


def _close_all_after_fork() -> None:
    for lock in tuple(_held):
        lock.close_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_after_fork)
