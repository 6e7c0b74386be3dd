"""API keys on the verifying side: what one is, and where they come from, read again when the file changes."""

from __future__ import annotations

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

__all__ = ["ApiKey", "KeyStore"]

logger = logging.getLogger("cryptoproto.apikeys")

_SHORTEST_PUBLIC_KEY: Final = 128  # characters; the base64 of an RSA-1024 SubjectPublicKeyInfo has 216


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One API key.

    Attributes:
        name: which requests give.
        secret: for the basic flow; ``None`` for a key of the session flow.
        public_key: for the session flow; ``None`` for a key of the basic flow.
        user: whom it acts for.
        authorities: what it may do.
    """

    name: str
    user: str
    authorities: frozenset[str]
    secret: bytes | None = field(default=None, repr=False)
    public_key: PublicKey | None = None

    @classmethod
    def parse(cls, name: str, key: str, user: str, authorities: Iterable[str] = ()) -> ApiKey:
        """An API key as a configuration writes it.

        A *key* that is an RSA public key belongs to the session flow alone. It must never serve as a secret: it is
        public, so anyone could sign with it.

        Raises:
            ConfigurationError: the name or the key is empty, or the RSA key too short.
        """
        if not name or not key:
            raise ConfigurationError("an API key has a name and a key, neither of them empty")
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
        raise ConfigurationError(f"RSA-{parsed.bits} is too short; use {MINIMUM_KEY_BITS} bits, better 2048 or more")
    return parsed


Reader = Callable[[], Mapping[str, ApiKey]]
Fingerprint = tuple[tuple[int, int, int] | None, ...]


class KeyStore:
    """The API keys by name. Changes of the files behind it are seen within a second, without a restart.

    A file that has become unreadable or wrong is reported in the log, and the keys that were read last stay.

    Args:
        read: reads all keys; raises ConfigurationError.
        files: which files to watch.
        clock: seconds.
        interval: seconds between two looks at the files.

    Raises:
        ConfigurationError: the keys cannot be read the first time.
    """

    __slots__ = ("_clock", "_files", "_interval", "_keys", "_looked_at", "_read", "_seen")

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
        self._keys = read()

    @classmethod
    def of(cls, *keys: ApiKey) -> KeyStore:
        """A store of fixed keys."""
        by_name = {key.name: key for key in keys}
        return cls(lambda: by_name)

    def get(self, name: str) -> ApiKey | None:
        """The key of that name, as the files have it now."""
        self._look()
        return self._keys.get(name)

    def is_current(self, key: ApiKey) -> bool:
        """Whether *key* is still what the files have under its name."""
        return self.get(key.name) == key

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
            self._keys = keys
            logger.info("read %d API keys", len(keys))
            return
        logger.error("the API keys were not reloaded, the previous ones stay in use: %s", problem)

    def _fingerprint(self) -> Fingerprint:
        return tuple(_stat(path) for path in self._files)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<KeyStore {len(self)} keys>"


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
