"""The config hash that a license is bound to: a SHA-256 of the package's name and the set of account logins.

Layout, version 1. All lengths and counts are unsigned 32-bit big-endian, all text is UTF-8 as given::

    "cryptoproto/config-hash/1" and a zero byte
    length of the package name, the package name
    number of different logins
    for each login, in the order of its UTF-8 bytes:  its length, the login

Each text is preceded by its length, so different inputs never give the same bytes. Order and repetition of the logins
do not matter. Symbols, the API in use and secrets are not part of it. A later layout will have another number in its
first line, so that its hashes cannot collide with these.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from ...exceptions import ConfigurationError

__all__ = ["LONGEST_NAME", "config_hash", "login_set", "read_logins"]

LONGEST_NAME: Final = 256  # bytes; more than an e-mail address or a UUID needs, and keeps requests small
_DOMAIN: Final = b"cryptoproto/config-hash/1\x00"
_MOST_LOGINS: Final = 10_000
_LARGEST_CONFIG: Final = 16 << 20


def config_hash(package: str, logins: Iterable[str]) -> bytes:
    """The 32 bytes that identify a package and its set of logins. Show them with ``.hex()``.

    Logins must be text. An account object, a mapping from logins to passwords, bytes or a redacted secret are refused
    by their type.

    Raises:
        ConfigurationError: a name is empty, too long or not text, or *logins* is a single text or a mapping.
    """
    names = login_set(logins)
    digest = hashlib.sha256(_DOMAIN)
    digest.update(_sized(_name(package, "package name")))
    digest.update(struct.pack(">I", len(names)))
    for login in names:
        digest.update(_sized(login.encode()))
    return digest.digest()


def login_set(logins: Iterable[str]) -> tuple[str, ...]:
    """The different logins in the order in which they are hashed.

    Raises:
        ConfigurationError: as :func:`config_hash`.
    """
    if isinstance(logins, (str, bytes, bytearray, Mapping)) or not isinstance(logins, Iterable):
        raise ConfigurationError('logins: pass a list of texts, such as ["A1", "A2"]; an empty list for none')
    names = {_name(login, "login") for login in logins}
    if len(names) > _MOST_LOGINS:
        raise ConfigurationError(f"logins: {len(names)} are too many; the limit is {_MOST_LOGINS}")
    return tuple(name.decode() for name in sorted(names))


def read_logins(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The logins in a gateway's TOML file: the ``login`` of each ``[accounts.NAME]``; empty without accounts.

    Nothing else in the file is used, kept or shown, in particular no secret.

    Raises:
        ConfigurationError: the file cannot be read, is not TOML, or has an account without a login.
    """
    source = Path(path)
    try:
        with source.open("rb") as file:
            data = file.read(_LARGEST_CONFIG + 1)
    except OSError as error:
        raise ConfigurationError(f"{source}: the configuration cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST_CONFIG:
        raise ConfigurationError(f"{source}: larger than {_LARGEST_CONFIG >> 20} MiB; is this the gateway's TOML file?")
    try:
        content = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # not only TOMLDecodeError: also a number of thousands of digits
        # The message of the parser may quote a secret; its position does not.
        position = re.search(r"at (line \d+, column \d+)", str(error))
        where = f" ({position[1]})" if position else ""
        raise ConfigurationError(f"{source}: not a TOML file{where}") from None
    accounts = content.get("accounts", {})
    if not isinstance(accounts, dict):
        raise ConfigurationError(f"{source}: accounts is not a table; write [accounts.NAME] with a login")
    logins = []
    for name, account in accounts.items():
        login = account.get("login") if isinstance(account, dict) else None
        if not isinstance(login, str):
            raise ConfigurationError(f'{source}: [accounts.{name}] has no login; write login = "…"')
        logins.append(login)
    return login_set(logins)


def _name(text: str, what: str) -> bytes:
    if not isinstance(text, str):
        raise ConfigurationError(f"{what}: must be text, not {type(text).__name__}; do not pass secrets here")
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{what}: not valid Unicode") from None
    if not 0 < len(encoded) <= LONGEST_NAME:
        raise ConfigurationError(f"{what}: has {len(encoded)} bytes; must have between 1 and {LONGEST_NAME}")
    return encoded


def _sized(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
