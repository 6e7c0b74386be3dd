"""The sealed token on disk: read at a start, replaced atomically when a new one arrives."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ...exceptions import ConfigurationError, InvalidToken, MalformedMessage, SealBroken, TokenCacheError
from ...private_file import read_private, write_private
from ..sealing.keypair import KeyPair, ManagerKey
from ..sealing.sealing import open_token
from ..sealing.token import LicenseToken, TokenBinding

__all__ = ["TokenCache"]

_LARGEST_BOX: Final = 4096  # more than twice the largest sealed token


class TokenCache:
    """One file in *folder* for each public key, package, set of logins and environment.

    The file holds the manager's reply as it was received, sealed: nobody can use it without the gateway's secret key.
    Processes that share a license can share the folder.

    Args:
        folder: where the file is; created when a token is written.
        binding: what tokens must be for.
        keys: the gateway's key pair, which opens the sealed token.
        manager_keys: the keys that a token can be signed with.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        binding: TokenBinding,
        keys: KeyPair,
        manager_keys: Sequence[ManagerKey],
    ) -> None:
        identity = hashlib.sha256(
            b"%s\x00%s\x00%d" % (binding.public_key.encode(), binding.config_hash, binding.is_uat)
        ).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9._-]", "_", binding.package)[:64].lstrip(".")
        self.path: Path = Path(folder) / f"{readable}-{identity[:32]}.token"
        self._binding = binding
        self._keys = keys
        self._manager_keys = tuple(manager_keys)

    def read(self) -> LicenseToken | None:
        """The token in the file, ``None`` if there is no file. Its binding and times are not checked.

        Raises:
            TokenCacheError: the file cannot be read, others have access to it, or it holds no token for these keys.
        """
        try:
            box = read_private(self.path, what="license token", largest=_LARGEST_BOX)
        except FileNotFoundError:
            return None
        except ConfigurationError as error:
            raise TokenCacheError(str(error)) from error
        return self.open(box, self.path)

    def open(self, box: bytes, source: Path) -> LicenseToken:
        """The token in a sealed box. Its binding and times are not checked.

        Args:
            box: the sealed token.
            source: where it came from, for error messages.

        Raises:
            TokenCacheError: it is not a token, or not one for these keys.
        """
        failures: list[str] = []
        for manager_key in self._manager_keys:
            try:
                return LicenseToken.decode(open_token(box, self._keys, manager_key))
            except (SealBroken, MalformedMessage, InvalidToken) as error:
                failures.append(str(error))
        raise TokenCacheError(f"{source}: not a token for these keys: {failures[0]}")

    def store(self, box: bytes, token: LicenseToken, now_ns: int) -> LicenseToken:
        """Write a new token, unless the file holds a valid one that lasts longer, such as one installed by hand.

        Args:
            box: the sealed token.
            token: the token in the box.
            now_ns: the time at which the token in the file must be valid, UTC.

        Returns:
            The token that the file holds now: *token*, or the one that lasts longer.

        Raises:
            TokenCacheError: the file cannot be written. An earlier token in it is unchanged.
        """
        longer = self._longer_lasting(token, now_ns)
        if longer is not None:
            return longer
        self.write(box)
        return token

    def write(self, box: bytes) -> None:
        """Replace the token in the file, whatever it holds.

        Raises:
            TokenCacheError: the file cannot be written. An earlier token in it is unchanged.
        """
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise TokenCacheError(f"{folder}: the folder cannot be created: {error.strerror}") from error
        try:
            write_private(self.path, box, what="license token", overwrite=True)
        except ConfigurationError as error:
            raise TokenCacheError(
                f"{error}; an earlier token in the file is unchanged. A restart would need the license manager: free "
                f"some space or fix the folder"
            ) from error

    def _longer_lasting(self, token: LicenseToken, now_ns: int) -> LicenseToken | None:
        try:
            cached = self.read()
            if cached is None or cached.expires_at_utc_ns <= token.expires_at_utc_ns:
                return None
            cached.check_usable(self._binding, now_ns)
        except (TokenCacheError, InvalidToken):
            return None  # unusable, so nothing is lost by replacing it
        return cached
