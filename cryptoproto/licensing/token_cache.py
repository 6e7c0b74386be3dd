"""The sealed token on the disk: read at a start, replaced whole when a new one comes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..exceptions import ConfigurationError, InvalidToken, MalformedMessage, SealBroken, TokenCacheError
from ..private_file import read_private, write_private
from .keypair import KeyPair, ManagerKey
from .sealing import open_token
from .token import LicenseToken, TokenBinding

__all__ = ["TokenCache"]

_LARGEST_BOX: Final = 4096  # more than twice the largest sealed token


class TokenCache:
    """One file in *folder* per public key, package, set of logins and environment.

    The file holds the manager's reply as it came, sealed: it is of no use without the gateway's secret key.
    Processes that share a license may share the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], binding: TokenBinding) -> None:
        identity = hashlib.sha256(
            b"%s\x00%s\x00%d" % (binding.public_key.encode(), binding.config_hash, binding.is_uat)
        ).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9._-]", "_", binding.package)[:64].lstrip(".")
        self.path = Path(folder) / f"{readable}-{identity[:32]}.token"

    def read(self) -> bytes | None:
        """The sealed token, ``None`` if there is none.

        Raises:
            TokenCacheError: the file is there and cannot be read, or is too large to be a token.
        """
        try:
            return read_private(self.path, what="license token", largest=_LARGEST_BOX)
        except FileNotFoundError:
            return None
        except ConfigurationError as error:
            raise TokenCacheError(str(error)) from error

    def open(
        self, box: bytes, keys: KeyPair, manager_keys: Sequence[ManagerKey], *, source: Path | None = None
    ) -> LicenseToken:
        """The token in a box that came from the file, or from *source*; signed by any of the keys, not yet judged.

        Raises:
            TokenCacheError: it is no token, or not for these keys.
        """
        failures: list[str] = []
        for manager_key in manager_keys:
            try:
                return LicenseToken.decode(open_token(box, keys, manager_key))
            except (SealBroken, MalformedMessage, InvalidToken) as error:
                failures.append(str(error))
        raise TokenCacheError(f"{source or self.path}: not a token for these keys: {failures[0]}")

    def write(self, box: bytes) -> None:
        """Replace the cached token; on failure the earlier one is still there.

        Raises:
            TokenCacheError: the file cannot be written.
        """
        try:
            self._make_folder()
            write_private(self.path, box, what="license token", overwrite=True)
        except ConfigurationError as error:
            raise TokenCacheError(
                f"{error}; an earlier token in the file is unchanged. A restart would need the license manager: free "
                f"some space or fix the folder"
            ) from error

    def _make_folder(self) -> None:
        folder = self.path.parent
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{folder}: the folder cannot be created: {error.strerror}") from error
