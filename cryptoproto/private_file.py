"""Files that hold secrets: mode 0600, replaced atomically, on disk before the call returns.

Every secret that this package writes goes through :func:`write_private`, and every secret file that it reads goes
through :func:`read_private`, so that the guarantees are the same everywhere.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from .exceptions import ConfigurationError

__all__ = ["read_private", "write_private", "write_public"]

_LARGEST: Final = 1 << 20  # far more than a key, a session or a token; stops a wrong path from filling memory
_OTHERS: Final = 0o077  # every permission of the group and of all other users


def write_private(path: str | os.PathLike[str], data: bytes, *, what: str, overwrite: bool) -> None:
    """Write *data* to *path* with mode 0600, whatever the umask.

    The data goes to a temporary file in the same folder, is synced, and then takes its name in one step. A reader, a
    crash or a full disk sees the old content or the new, never a part of it.

    Args:
        path: the file to write.
        data: its content.
        what: what the file holds, for error messages: "private key".
        overwrite: replace a file that exists.

    Raises:
        ConfigurationError: the file exists and *overwrite* is false, or it cannot be written. Whatever was there
            before is unchanged.
    """
    _write(Path(path), data, what=what, overwrite=overwrite, mode=0o600)


def write_public(path: str | os.PathLike[str], data: bytes, *, what: str, overwrite: bool) -> None:
    """Write *data* to *path* as :func:`write_private` does, but with mode 0644: for the public half of a secret.

    Raises:
        ConfigurationError: as for :func:`write_private`.
    """
    _write(Path(path), data, what=what, overwrite=overwrite, mode=0o644)


def read_private(path: str | os.PathLike[str], *, what: str, largest: int = _LARGEST) -> bytes:
    """The content of a file that only its owner can read or write.

    Args:
        path: the file to read.
        what: what the file holds, for error messages: "private key".
        largest: how many bytes such a file has at most.

    Raises:
        FileNotFoundError: there is no such file. The caller knows what to advise.
        ConfigurationError: the file's mode gives the group or other users access, it cannot be read, or it is larger
            than *largest*.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())  # of the file that was opened, not of what has its name by now
            if stat.S_ISREG(status.st_mode) and status.st_mode & _OTHERS:
                raise ConfigurationError(
                    f"{name}: mode {stat.S_IMODE(status.st_mode):04o} gives other users access to the {what}; "
                    f"run: chmod 600 {name}"
                )
            data = file.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{name}: the {what} cannot be read: {error.strerror}") from error
    if len(data) > largest:
        raise ConfigurationError(f"{name}: more than {largest} bytes, too large for a {what}; is this the right file?")
    return data


def _write(path: Path, data: bytes, *, what: str, overwrite: bool, mode: int) -> None:
    try:
        _replace(path, data, overwrite=overwrite, mode=mode)
    except FileExistsError:
        raise ConfigurationError(f"{path}: already exists and was not changed; choose another name") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: the {what} cannot be written: {error.strerror}") from error


def _replace(path: Path, data: bytes, *, overwrite: bool, mode: int) -> None:
    descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
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


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: it is recorded in the folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
