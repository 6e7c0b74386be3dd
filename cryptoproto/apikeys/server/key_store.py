"""API keys on the verifying side: one key, and the store that reads them again when their file changes."""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ...exceptions import ConfigurationError
from ...keys import PublicKey
from ..login import MINIMUM_KEY_BITS

__all__ = ["NAME_DIGEST_SIZE", "ApiKey", "KeyStore", "name_digest"]

NAME_DIGEST_SIZE: Final = 16

logger: logging.Logger = logging.getLogger("cryptoproto.apikeys")

_SHORTEST_PUBLIC_KEY: Final = 128  # characters; the base64 of an RSA-1024 SubjectPublicKeyInfo has 216


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key.

    Attributes:
        name: the name that requests give.
        secret: for the basic flow; ``None`` for a key of the session flow.
        public_key: for the session flow; ``None`` for a key of the basic flow.
        user: the user on whose behalf it acts.
        authorities: what it may do.
    """

    name: str
    user: str
    authorities: frozenset[str]
    secret: bytes | None = field(default=None, repr=False)
    public_key: PublicKey | None = None

    @classmethod
    def parse(cls, name: str, key: str, user: str, authorities: Iterable[str] = ()) -> ApiKey:
        """Read an API key as a configuration writes it.

        A *key* that is an RSA public key is for the session flow only. It must never serve as a secret: it is public,
        so anyone could sign with it.

        Raises:
            ConfigurationError: the name or the key is empty, or the RSA key too short.
        """
        if not name or not key:
            raise ConfigurationError("an API key must have a name and a key, and neither may be empty")
        try:
            public_key = _public_key(key)
        except ConfigurationError as error:
            raise ConfigurationError(f"API key {name}: {error}") from None
        secret = key.encode() if public_key is None else None
        return cls(name, user, frozenset(authorities), secret, public_key)


def _public_key(key: str) -> PublicKey | None:
    if "-----BEGIN" in key:
        return PublicKey.from_pem(key.encode())
    if len(key) < _SHORTEST_PUBLIC_KEY:
        return None
    try:
        parsed = PublicKey.from_der(key, minimum_bits=1)
    except ConfigurationError:
        return None
    if parsed.bits < MINIMUM_KEY_BITS:
        raise ConfigurationError(
            f"RSA-{parsed.bits} is too short; use at least {MINIMUM_KEY_BITS} bits, preferably 2048"
        )
    return parsed


Reader = Callable[[], Mapping[str, ApiKey]]
Fingerprint = tuple[tuple[int, int, int] | None, ...]


class KeyStore:
    """The API keys by name. Changes of their files take effect within a second, without a restart.

    If a file becomes unreadable or wrong, the log says so and the keys that were read last stay in use.

    Args:
        read: reads all keys, or raises ConfigurationError.
        files: the files to watch.
        clock: seconds.
        interval: seconds between two checks of the files.

    Raises:
        ConfigurationError: the keys cannot be read the first time.
    """

    __slots__ = (
        "_by_digest", "_clock", "_files", "_generations", "_interval", "_keys", "_looked_at", "_numbers", "_read",
        "_seen",
    )  # fmt: skip

    def __init__(
        self,
        read: Reader,
        *,
        files: Iterable[Path] = (),
        clock: Callable[[], float] = time.monotonic,
        interval: float = 1.0,
    ) -> None:
        self._read = read
        self._files = tuple(files)
        self._clock = clock
        self._interval = interval
        self._looked_at = clock()
        self._seen = self._fingerprint()
        self._numbers = itertools.count(1)
        self._generations: dict[str, int] = {}
        self._keys: Mapping[str, ApiKey] = {}
        self._by_digest: dict[bytes, ApiKey] = {}
        self._adopt(read())

    @classmethod
    def of(cls, *keys: ApiKey) -> KeyStore:
        """A store of fixed keys."""
        by_name = {key.name: key for key in keys}
        return cls(lambda: by_name)

    def get(self, name: str) -> ApiKey | None:
        """The key with that name, as the files have it now."""
        self._look()
        return self._keys.get(name)

    def get_by_digest(self, digest: bytes) -> ApiKey | None:
        """The key whose name has that :func:`name_digest`."""
        self._look()
        return self._by_digest.get(digest)

    def is_current(self, key: ApiKey) -> bool:
        """Whether the files still have exactly this key under its name."""
        return self.get(key.name) == key

    def generation(self, name: str) -> int:
        """A number that changes whenever the key with that name does, its secret included; 0 if there is none."""
        self._look()
        return self._generations.get(name, 0)

    def _adopt(self, keys: Mapping[str, ApiKey]) -> None:
        known = self._keys
        self._generations = {
            name: self._generations[name] if known.get(name) == key else next(self._numbers)
            for name, key in keys.items()
        }
        self._keys = dict(keys)
        self._by_digest = _by_digest(keys)

    def _look(self) -> None:
        now = self._clock()
        if not self._files or now - self._looked_at < self._interval:
            return
        self._looked_at = now
        seen = self._fingerprint()
        if seen == self._seen:
            return
        self._seen = seen
        self.reload()

    def reload(self) -> None:
        """Read the keys now. If that fails, the error is logged and the present keys stay in use."""
        try:
            keys = self._read()
        except ConfigurationError as error:
            problem = str(error)
        else:
            self._adopt(keys)
            logger.info("read %d API keys", len(keys))
            return
        logger.error("the API keys were not reloaded, the previous ones stay in use: %s", problem)

    def _fingerprint(self) -> Fingerprint:
        return tuple(_stat(path) for path in self._files)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<KeyStore {len(self)} keys>"


def name_digest(name: str) -> bytes:
    """A digest of a key's name, of fixed length."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:NAME_DIGEST_SIZE]


def _by_digest(keys: Mapping[str, ApiKey]) -> dict[bytes, ApiKey]:
    return {name_digest(name): key for name, key in keys.items()}


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # the second for a name that no file can have
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
