"""The manager's own keys, in generations that overlap while agents change over."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from ...exceptions import ConfigurationError
from ...extras import needs
from ..sealing.key_text import decode_key, encode_key
from ..sealing.keypair import KeyPair, ManagerKey, read_json, write_secret_json

with needs("cryptoproto.licensing", "licensing"):
    from nacl.signing import SigningKey

__all__ = ["Generation", "Keyring"]

logger: logging.Logger = logging.getLogger("cryptoproto.licensing.manager")
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, repr=False)
class Generation:
    """A key pair for boxes, one for signatures, and when they retire (``None``: not before a rotation)."""

    box_keys: KeyPair
    signing_key: SigningKey
    created_ns: int
    retires_ns: int | None = None

    @classmethod
    def generate(cls, now_ns: int) -> Self:
        """Generate keys from the system's random source."""
        return cls(KeyPair.generate(), SigningKey.generate(), now_ns)

    @property
    def public(self) -> ManagerKey:
        """What agents pin."""
        return ManagerKey(self.box_keys.public_key, encode_key(bytes(self.signing_key.verify_key)))

    def __repr__(self) -> str:
        return f"<Generation {self.box_keys.public_key}>"


class Keyring:
    """The generations in use, the newest first. Stored in a file with mode 0600; ``repr()`` shows no secret."""

    def __init__(self, generations: tuple[Generation, ...]) -> None:
        self._generations = generations

    @classmethod
    def generate(cls, now_ns: int) -> Self:
        """A keyring with one new generation."""
        return cls((Generation.generate(now_ns),))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a keyring from its file.

        Raises:
            ConfigurationError: the file is missing, unreadable, accessible to others, or not a key file.
        """
        source = os.fspath(path)
        content = read_json(path, "manager key", secret=True, remedy="make one with: cryptoproto license manager-key")
        entries = content.get("generations")
        if not isinstance(entries, list) or not entries:
            raise ConfigurationError(f"{source}: no generations; expected what `license manager-key` writes")
        return cls(tuple(_generation(entry, source) for entry in entries))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the keyring with mode 0600, atomically.

        Raises:
            ConfigurationError: the file exists and *overwrite* is false, or it cannot be written.
        """
        write_secret_json(path, {"generations": [_fields(each) for each in self._generations]}, overwrite=overwrite)

    def active(self, now_ns: int) -> tuple[Generation, ...]:
        """The generations that have not retired, the newest first."""
        return tuple(each for each in self._generations if each.retires_ns is None or now_ns < each.retires_ns)

    def public_fields(self, now_ns: int) -> dict[str, list[dict[str, str]]]:
        """What agents pin, as the JSON of the manager's public file."""
        publics = (each.public for each in self.active(now_ns))
        return {"manager_keys": [{"box_key": key.box_key, "verify_key": key.verify_key} for key in publics]}

    def rotated(self, now_ns: int, overlap_s: float) -> Keyring:
        """A keyring with a new generation first. The earlier ones stay for at most *overlap_s* seconds."""
        end = now_ns + int(overlap_s * _SECOND)
        kept = (
            replace(each, retires_ns=end if each.retires_ns is None else min(end, each.retires_ns))
            for each in self.active(now_ns)
        )
        return Keyring((Generation.generate(now_ns), *(each for each in kept if (each.retires_ns or 0) > now_ns)))

    def __reduce__(self) -> str:
        raise TypeError("a Keyring cannot be pickled; save() it to a file of mode 0600")

    def __repr__(self) -> str:
        return f"<Keyring of {len(self._generations)}>"


class KeyringFile:
    """A keyring that follows its file, so that a rotation needs no restart."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._seen = self._stamp()
        self._keyring = Keyring.load(path)

    def current(self) -> Keyring:
        """The keyring, read again if its file was replaced. If the new file cannot be read, the last keyring stays."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._keyring = Keyring.load(self._path)
            except ConfigurationError as error:
                logger.warning("the manager's key file cannot be read, so its last keys stay in use: %s", error)
        return self._keyring

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino


def _fields(generation: Generation) -> dict[str, Any]:
    return generation.box_keys.to_fields() | {
        "verify_key": encode_key(bytes(generation.signing_key.verify_key)),
        "signing_key": encode_key(bytes(generation.signing_key)),
        "created_utc_ns": generation.created_ns,
        "retires_utc_ns": generation.retires_ns,
    }


def _generation(entry: Any, source: str) -> Generation:
    if not isinstance(entry, dict):
        raise ConfigurationError(f"{source}: an entry of generations is not an object")
    signing_key = SigningKey(decode_key(entry.get("signing_key"), f"{source}: signing_key"))
    if encode_key(bytes(signing_key.verify_key)) != entry.get("verify_key"):
        raise ConfigurationError(f"{source}: verify_key and signing_key do not belong together")
    created, retires = entry.get("created_utc_ns"), entry.get("retires_utc_ns")
    if not isinstance(created, int) or not isinstance(retires, int | None):
        raise ConfigurationError(f"{source}: created_utc_ns and retires_utc_ns must be whole numbers")
    return Generation(KeyPair.from_fields(entry, source), signing_key, created, retires)
