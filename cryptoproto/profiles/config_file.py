"""The configuration file: where it is, who may write it, and the profiles in it."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import platformdirs

from ..exceptions import ConfigurationError
from .secrets import refuse_secrets
from .values import PATHS, check_values, did_you_mean, expanded

__all__ = ["ConfigFile", "check_name", "default_path"]

_LARGEST: Final = 1 << 20
_OTHERS_WRITE: Final = 0o022
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def default_path(environment: Mapping[str, str] = os.environ) -> Path:
    """The file that ``CRYPTOPROTO_CONFIG`` names, or ``config.toml`` in the user's configuration folder."""
    given = environment.get("CRYPTOPROTO_CONFIG")
    if given:
        return Path(expanded(given, "CRYPTOPROTO_CONFIG"))
    return platformdirs.user_config_path("cryptoproto", appauthor=False) / "config.toml"


def check_name(name: str) -> str:
    """*name*, if a profile can be called so.

    Raises:
        ConfigurationError: it has other characters than letters, digits, ``-`` and ``_``, or it is too long.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} cannot name a profile; use letters, digits, - and _")
    return name


class ConfigFile:
    """The profiles of one file. Its text is read and its secrets are refused when it is opened.

    Args:
        path: the file.
        text: what to take as its text, instead of reading it.

    Attributes:
        path: the file, as an absolute path.
        text: what it holds.

    Raises:
        ConfigurationError: there is no such file, others can write to it, it cannot be read, it is not TOML, it holds a
            secret, or something other than profiles.
    """

    __slots__ = ("_tables", "path", "text")

    path: Path
    text: str

    def __init__(self, path: str | os.PathLike[str], text: str | None = None) -> None:
        self.path = Path(os.path.abspath(expanded(os.fspath(path), "the configuration file")))
        self.text = _read(self.path) if text is None else text
        try:
            # Decimal: 0.01 has no exact binary form, and a tick size has to be exact.
            document = tomllib.loads(self.text, parse_float=Decimal)
            refuse_secrets(document, str(self.path))
        except tomllib.TOMLDecodeError as error:
            message = str(error)
            raise ConfigurationError(f"{self.path} is not TOML: {message[:1].lower()}{message[1:]}") from None
        except RecursionError:
            raise ConfigurationError(f"{self.path} is not a configuration: it is nested too deeply") from None
        except ConfigurationError:
            raise
        except (ValueError, ArithmeticError):
            raise ConfigurationError(f"{self.path} is not a configuration: a number in it is too long") from None
        self._tables = _profiles(document, self.path)

    @property
    def names(self) -> list[str]:
        """The names of the profiles, in the order of the file."""
        return list(self._tables)

    def values(self, name: str) -> dict[str, Any]:
        """The checked values of a profile, with absolute paths.

        Raises:
            ConfigurationError: there is no such profile, or it holds an unknown key or a value that cannot be used.
        """
        check_name(name)
        if name not in self._tables:
            others = f"it has {', '.join(self.names)}" if self._tables else "it has none"
            hint = did_you_mean(name, self._tables) or f"; {others}"
            raise ConfigurationError(f"{self.path} has no profile {name!r}{hint}")
        values = check_values(self._tables[name], self.where(name))
        folder = self.path.parent
        for key in PATHS:
            if key in values:
                values[key] = str(folder / values[key])
        command = values.get("password_command")
        if command and os.sep in command[0]:
            program = expanded(command[0], f"password_command in {self.where(name)}")
            values["password_command"] = [str(folder / program), *command[1:]]
        return values

    def where(self, name: str) -> str:
        """How errors name the place of a profile."""
        return f"[profiles.{name}] of {self.path}"

    def __contains__(self, name: object) -> bool:
        return name in self._tables

    def __repr__(self) -> str:
        return f"<ConfigFile {self.path}: {', '.join(self.names) or 'no profiles'}>"


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())  # of the file that was opened, not of what has its name by now
            _check_owner(path, status)
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: there is no such file; write a profile with: cryptoproto profile add NAME"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: the configuration cannot be read: {error.strerror}") from error
    if len(data) > _LARGEST:
        raise ConfigurationError(f"{path}: more than {_LARGEST} bytes, too large for a configuration")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not TOML: it is not UTF-8 text") from None


def _check_owner(path: Path, status: os.stat_result) -> None:
    """The file says which program prints the password and which exchange gets the orders."""
    if os.name != "posix" or not stat.S_ISREG(status.st_mode):
        return
    if status.st_mode & _OTHERS_WRITE:
        raise ConfigurationError(
            f"{path}: mode {stat.S_IMODE(status.st_mode):04o} lets other users change the configuration; "
            f"run: chmod go-w {path}"
        )
    if status.st_uid not in (os.getuid(), 0):
        raise ConfigurationError(f"{path} belongs to another user, who could change it; copy it to a file of yours")


def _profiles(document: dict[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    for key in document:
        if key != "profiles":
            hint = did_you_mean(key, ("profiles",)) or "; profiles are tables like [profiles.paper]"
            raise ConfigurationError(f"unknown key {key!r} in {path}{hint}")
    tables = document.get("profiles", {})
    if not isinstance(tables, dict):
        raise ConfigurationError(f"profiles in {path} must be tables like [profiles.paper]")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigurationError(f"profiles.{name} in {path} must be a table: [profiles.{name}]")
    return tables
