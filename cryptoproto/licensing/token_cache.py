"""The sealed token on the disk: read at a start, replaced whole when a new one comes."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..exceptions import InvalidToken, MalformedMessage, SealBroken, TokenCacheError
from ..private_file import write_private
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
            with self.path.open("rb") as file:
                box = file.read(_LARGEST_BOX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokenCacheError(f"{self.path}: the cached token cannot be read: {error.strerror}") from error
        if len(box) > _LARGEST_BOX:
            raise TokenCacheError(f"{self.path}: too large for a token; another file has its name")
        return box

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
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(self.path, box, overwrite=True)
        except OSError as error:
            raise TokenCacheError(
                f"{self.path}: the new token cannot be kept: {error.strerror}; it is in use all the same, and the "
                f"earlier one is untouched, but a restart would need the manager; free some space or fix the folder"
            ) from error
