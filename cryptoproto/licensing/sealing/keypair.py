"""The two kinds of keys of a gateway: its own X25519 pair, and the manager's pinned public keys."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from ...exceptions import ConfigurationError
from ...extras import needs
from ...private_file import read_private, write_private
from .key_text import decode_box_key, decode_key, decode_verify_key, encode_key

with needs("cryptoproto.licensing", "licensing"):
    from nacl import bindings
    from nacl.public import PrivateKey

__all__ = ["KeyPair", "ManagerKey", "ManagerKeySource", "read_json", "write_secret_json"]

_LARGEST_KEY_FILE: Final = 65_536  # even a manager's file with hundreds of generations is smaller


class KeyPair:
    """An X25519 key pair: the identity of a gateway for the license manager.

    Instances are immutable. ``repr()`` shows only the public key, and a pair cannot be pickled.
    """

    __slots__ = ("_secret", "public_key")

    public_key: str
    """The public key: 44 characters of base64url. The licensor needs it."""

    def __init__(self, secret: PrivateKey) -> None:
        self._secret = secret
        self.public_key = encode_key(bytes(secret.public_key))

    @classmethod
    def generate(cls) -> Self:
        """Generate a pair from the system's random source."""
        return cls(PrivateKey.generate())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a pair from its JSON file, ``{"public_key": …, "secret_key": …}``.

        Raises:
            ConfigurationError: the file is missing or unreadable, others have access to it, it is not a key file, or
                its two keys do not belong together.
        """
        content = read_json(path, "key", secret=True, remedy="make a pair with: cryptoproto license keygen")
        return cls.from_fields(content, os.fspath(path))

    @classmethod
    def from_fields(cls, content: dict[str, Any], source: str) -> Self:
        """A pair from the two entries of its JSON form; errors name *source*.

        Raises:
            ConfigurationError: as for :meth:`load`.
        """
        for name in ("public_key", "secret_key"):
            if name not in content:
                raise ConfigurationError(f"{source}: no {name}; a key file has a public_key and a secret_key")
        pair = cls(PrivateKey(decode_key(content["secret_key"], f"{source}: secret_key")))
        decode_box_key(content["public_key"], f"{source}: public_key")
        if pair.public_key != content["public_key"]:
            raise ConfigurationError(f"{source}: public_key and secret_key do not belong together")
        return pair

    def to_fields(self) -> dict[str, str]:
        """The JSON form with the secret key. Write it only to a file with mode 0600."""
        return {"public_key": self.public_key, "secret_key": encode_key(bytes(self._secret))}

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the pair as JSON with mode 0600, atomically.

        Raises:
            ConfigurationError: the file exists and *overwrite* is false, or it cannot be written.
        """
        write_secret_json(path, self.to_fields(), overwrite=overwrite)

    def shared_key(self, other: bytes) -> bytes:
        """The key that this pair and the owner of *other* share (``crypto_box_beforenm``).

        Raises:
            ConfigurationError: *other* is a point of low order.
        """
        try:
            return bindings.crypto_box_beforenm(other, bytes(self._secret))
        except (RuntimeError, ValueError, TypeError):
            raise ConfigurationError("the public key of the other side is not a valid X25519 point") from None

    def __reduce__(self) -> str:
        raise TypeError("a KeyPair cannot be pickled; save() it to a file with mode 0600")

    def __repr__(self) -> str:
        return f"<KeyPair {self.public_key}>"


@dataclass(frozen=True, slots=True)
class ManagerKey:
    """The pinned keys of a license manager. Both are public.

    The one-line form, :meth:`text`, is the two keys joined by a dot. It can be pasted into a configuration.
    """

    box_key: str
    """X25519: requests are sealed to this key, and replies are sealed by it."""

    verify_key: str
    """Ed25519: tokens are signed with this key."""

    def __post_init__(self) -> None:
        decode_box_key(self.box_key, "manager's box key")
        decode_verify_key(self.verify_key, "manager's verify key")

    @classmethod
    def parse(cls, text: str) -> Self:
        """A key from its one-line form.

        Raises:
            ConfigurationError: the text is not in this form.
        """
        box_key, dot, verify_key = text.strip().partition(".")
        if not dot:
            raise ConfigurationError("the manager's key is two keys of 44 characters joined by a dot")
        return cls(box_key, verify_key)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> tuple[Self, ...]:
        """Read the manager's public file: its keys, first the one for new requests.

        Raises:
            ConfigurationError: the file is missing, unreadable or not a public file of a manager.
        """
        source = os.fspath(path)
        content = read_json(path, "manager key", remedy="ask the licensor for it")
        if "secret_key" in content or "generations" in content:
            raise ConfigurationError(f"{source}: this file has secret keys; pass the manager's public file instead")
        keys = content.get("manager_keys")
        if not isinstance(keys, list) or not keys:
            raise ConfigurationError(f"{source}: no manager_keys; expected what `license manager-key` writes")
        try:
            return tuple(cls(entry["box_key"], entry["verify_key"]) for entry in keys)
        except (KeyError, TypeError):
            raise ConfigurationError(f"{source}: an entry of manager_keys lacks its box_key or verify_key") from None

    @classmethod
    def all_from(cls, source: ManagerKeySource) -> tuple[ManagerKey, ...]:
        """The keys for the argument ``manager_key=``: a key, several, one line of text, or a file.

        Raises:
            ConfigurationError: it is none of these, or not valid.
        """
        if isinstance(source, ManagerKey):
            return (source,)
        if isinstance(source, str) and _LOOKS_LIKE_TEXT.fullmatch(source.strip()):
            return (cls.parse(source),)
        if isinstance(source, (str, os.PathLike)):
            return cls.load(source)
        keys = tuple(source)
        if not keys or not all(isinstance(key, ManagerKey) for key in keys):
            raise ConfigurationError(
                "manager_key: pass a ManagerKey, a list of them, their text, or the path of the file"
            )
        return keys

    def text(self) -> str:
        """The one-line form that :meth:`parse` reads."""
        return f"{self.box_key}.{self.verify_key}"


_LOOKS_LIKE_TEXT: Final = re.compile(r"[\w-]{43}=\.[\w-]{43}=", re.ASCII)  # two keys joined by a dot

ManagerKeySource = ManagerKey | Sequence[ManagerKey] | str | os.PathLike[str]


def read_json(path: str | os.PathLike[str], what: str, *, remedy: str, secret: bool = False) -> dict[str, Any]:
    """The JSON object in a key file. Error messages never quote its content.

    Args:
        path: the file.
        what: what it holds, for error messages.
        remedy: what to do if there is no such file.
        secret: refuse a file to which anyone but its owner has access.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    source = Path(path)
    try:
        data = read_private(source, what=f"{what} file", largest=_LARGEST_KEY_FILE) if secret else _read(source, what)
    except FileNotFoundError:
        raise ConfigurationError(f"{source}: no such {what} file; {remedy}") from None
    except ConfigurationError:  # if it is the public file, to change its mode would not help
        if secret and os.path.isfile(source) and b"secret" not in _read(source, what):
            raise ConfigurationError(f"{source}: this file has no secret key; pass the secret {what} file") from None
        raise
    try:
        content = json.loads(data) if len(data) <= _LARGEST_KEY_FILE else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{source}: not a {what} file (expected a JSON object); {remedy}")
    return content


def _read(source: Path, what: str) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(_LARGEST_KEY_FILE + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{source}: the {what} file cannot be read: {error.strerror}") from error


def write_secret_json(path: str | os.PathLike[str], content: dict[str, Any], *, overwrite: bool) -> None:
    """Write a key file with mode 0600.

    Raises:
        ConfigurationError: the file exists and *overwrite* is false, or it cannot be written.
    """
    write_private(path, (json.dumps(content, indent=2) + "\n").encode(), what="key file", overwrite=overwrite)
