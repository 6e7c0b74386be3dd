"""Writing a profile into the configuration file, so that its comments and the other profiles stay."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ..exceptions import ConfigurationError
from ..private_file import write_private
from ..profiles import ConfigFile, check_name, check_values, expanded

__all__ = ["with_profile", "write_profile"]


def write_profile(path: Path, name: str, values: Mapping[str, Any], *, force: bool) -> ConfigFile:
    """Add a profile to the file *path*, or change it, and return the new file.

    The file is replaced in one step, with mode 0600. Other processes that call this wait for each other.

    Args:
        path: the file; it and its folder are made if they do not exist.
        name: the name of the profile.
        values: its keys and values. Other keys of an existing profile stay as they are.
        force: change a profile that exists.

    Raises:
        ConfigurationError: the profile exists and *force* is false, a value cannot be used, or the file cannot be read
            or written. It is unchanged.
    """
    check_name(name)
    path = Path(os.path.realpath(expanded(str(path), "the configuration file")))  # a symbolic link stays one
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path.parent}: the folder cannot be made: {error.strerror}") from error
    with _locked(path.parent):
        file = ConfigFile(path) if path.exists() else ConfigFile(path, "")
        if name in file and not force:
            raise ConfigurationError(
                f"{path} has a profile {name!r} already, which was not changed; choose another name, or use --force"
            )
        check_values(values, file.where(name))
        try:
            changed = ConfigFile(path, with_profile(file.text, name, values))
        except (ValueError, TOMLKitError) as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError(
                f"{path}: the profiles are written in a way that this command cannot change; edit the file by hand"
            ) from None
        changed.values(name)
        write_private(path, changed.text.encode(), what="configuration", overwrite=True)
    return changed


def with_profile(text: str, name: str, values: Mapping[str, Any]) -> str:
    """*text* with these values in the profile; all else, comments included, stays where it is.

    Raises:
        ValueError, TOMLKitError: the text is written in a way for which this cannot be done.
    """
    expected = tomllib.loads(text)
    profiles = expected.setdefault("profiles", {})
    is_new = name not in profiles
    there = profiles.setdefault(name, {})
    added = {key: value for key, value in values.items() if key not in there}
    there |= values
    after = _appended(text, name, values) if is_new else _changed(text, name, values, added)
    if tomllib.loads(after) != expected:
        raise ValueError("the new text does not say what it should")
    return after


def _appended(text: str, name: str, values: Mapping[str, Any]) -> str:
    before = text.rstrip("\n") + "\n\n" if text.strip() else ""
    return before + tomlkit.dumps({"profiles": {name: dict(values)}})


def _changed(text: str, name: str, values: Mapping[str, Any], added: Mapping[str, Any]) -> str:
    # tomlkit adds keys at the end of a table, below comments that belong to the next one; here they get to its start.
    header = re.search(rf"^[ \t]*\[[ \t]*profiles[ \t]*\.[ \t]*{name}[ \t]*\][^\n]*(\n|\Z)", text, re.MULTILINE)
    if header:
        text = f"{text[: header.end()].rstrip()}\n{tomlkit.dumps(added)}{text[header.end() :]}"
    document = tomlkit.parse(text)
    profiles: Any = document["profiles"]
    for key, value in values.items():
        profiles[name][key] = value
    return tomlkit.dumps(document)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process writes a file of *folder* through this function."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: two commands at the same moment may overwrite each other's profile
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
