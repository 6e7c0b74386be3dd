"""The agent's hold on its token cache: what went wrong with it, and what is still to be written."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ...exceptions import InvalidToken, TokenCacheError
from ..sealing.token import LicenseToken, TokenBinding
from .token_cache import TokenCache

__all__ = ["TokenKeeper"]

logger: logging.Logger = logging.getLogger("cryptoproto.licensing")
_PATIENCE_S: Final = 10.0  # a network drive that hangs must not keep a gateway from its license


class TokenKeeper:
    """Reads and writes a :class:`TokenCache` in threads, and remembers a token that could not be written.

    Args:
        cache: the cache.
        binding: what the token in it must be for.
        patience_s: how long a new token is held back until it is on disk.
    """

    def __init__(self, cache: TokenCache, binding: TokenBinding, *, patience_s: float = _PATIENCE_S) -> None:
        self._cache = cache
        self._binding = binding
        self._patience_s = patience_s
        self._unwritten: tuple[bytes, LicenseToken] | None = None
        self._writing: asyncio.Task[LicenseToken] | None = None
        self._error: TokenCacheError | InvalidToken | None = None

    @property
    def error(self) -> TokenCacheError | InvalidToken | None:
        """Why the cached token could not be used or a new one not be written; ``None`` if all is well."""
        return self._error

    async def load(self, now_ns: int) -> LicenseToken | None:
        """The cached token if it is valid at *now_ns*; otherwise :attr:`error` says why not."""
        try:
            token = await asyncio.to_thread(self._cache.read)
            if token is not None:
                token.check_usable(self._binding, now_ns)
        except (TokenCacheError, InvalidToken) as error:
            if str(error) != str(self._error):
                logger.warning("the cached token cannot be used: %s", error)
            self._error = error
            return None
        self._error = None
        return token

    async def keep(self, box: bytes, token: LicenseToken, now_ns: int) -> LicenseToken:
        """Write a new token, and return once it is on disk.

        If it cannot be written, or not in time, :attr:`error` says why, and :meth:`retry` tries again.

        Returns:
            *token*, or the token in the cache if that lasts longer.
        """
        self._unwritten = box, token
        return await self._write(now_ns) or token

    async def retry(self, now_ns: int) -> LicenseToken | None:
        """Write the token that could not be written earlier; ``None`` if there is none, or if it fails again."""
        return None if self._unwritten is None else await self._write(now_ns)

    async def close(self) -> None:
        """Wait for a write in progress, but not longer than ``patience_s``."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=self._patience_s)

    async def _write(self, now_ns: int) -> LicenseToken | None:
        if self._unwritten is None or (self._writing is not None and not self._writing.done()):
            return None  # one write at a time: the disk still hangs
        box, token = self._unwritten
        self._writing = asyncio.create_task(asyncio.to_thread(self._cache.store, box, token, now_ns))
        self._writing.add_done_callback(_retrieve)
        done, _ = await asyncio.wait([self._writing], timeout=self._patience_s)
        if not done:
            self._fail(TokenCacheError(f"{self._cache.path}: writing takes more than {self._patience_s:g} s"))
            return None
        try:
            kept = self._writing.result()
        except TokenCacheError as error:
            self._fail(error)
            return None
        if self._unwritten == (box, token):
            self._unwritten = self._error = None
        if kept != token:
            logger.info(
                "the cached token lasts longer (until %s) than the new one (until %s), and is kept",
                kept.expires_at,
                token.expires_at,
            )
        return kept

    def _fail(self, error: TokenCacheError) -> None:
        logger.warning("%s", error)
        self._error = error


def _retrieve(task: asyncio.Task[LicenseToken]) -> None:
    """Mark the exception of a write that nobody waits for any more as seen."""
    if not task.cancelled():
        task.exception()
