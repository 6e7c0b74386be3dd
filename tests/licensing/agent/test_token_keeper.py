"""The keeper: writes that fail, that hang and that are tried again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cryptoproto.licensing import InvalidToken, KeyPair, LicenseToken, TokenCacheError
from cryptoproto.licensing.agent.token_cache import TokenCache
from cryptoproto.licensing.agent.token_keeper import TokenKeeper
from tests.support.licensing.samples import token_for
from tests.support.licensing.simulated_time import SECOND, START_NS


class Disk(TokenCache):
    """A cache in memory that can fail or hang."""

    def __init__(self, token: LicenseToken | None = None) -> None:
        self.path = Path("cache/x.token")
        self.token = token
        self.error: TokenCacheError | None = None
        self.free = threading.Event()
        self.free.set()
        self.busy = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def read(self) -> LicenseToken | None:
        if self.error is not None:
            raise self.error
        return self.token

    def store(self, box: bytes, token: LicenseToken, now_ns: int) -> LicenseToken:
        self._loop.call_soon_threadsafe(self.busy.set)
        self.free.wait()
        if self.error is not None:
            raise self.error
        if self.token is None or self.token.expires_at_utc_ns < token.expires_at_utc_ns:
            self.token = token
        return self.token


@pytest.fixture
async def disk() -> AsyncIterator[Disk]:
    disk = Disk()
    yield disk
    disk.free.set()


@pytest.fixture
def token(gateway: KeyPair) -> LicenseToken:
    return token_for(gateway)


async def test_a_token_is_on_disk_when_keep_returns(disk: Disk, token: LicenseToken) -> None:
    keeper = TokenKeeper(disk, token.binding)
    assert await keeper.load(START_NS) is None
    assert await keeper.keep(b"box", token, START_NS) == token
    assert disk.token == token
    assert keeper.error is None
    assert await keeper.load(START_NS) == token
    assert await keeper.retry(START_NS) is None  # nothing is left to write
    await keeper.close()


async def test_a_failed_write_is_tried_again(disk: Disk, token: LicenseToken) -> None:
    keeper = TokenKeeper(disk, token.binding)
    disk.error = TokenCacheError("disk full")
    assert await keeper.keep(b"box", token, START_NS) == token  # it is valid even if it is not on disk
    assert str(keeper.error) == "disk full"
    assert await keeper.retry(START_NS) is None
    disk.error = None
    assert await keeper.retry(START_NS) == token
    assert disk.token == token
    assert await keeper.load(START_NS) == token


async def test_a_token_that_lasts_longer_is_kept_and_logged(
    gateway: KeyPair, token: LicenseToken, caplog: pytest.LogCaptureFixture
) -> None:
    long = token_for(gateway, life_s=86_400)
    keeper = TokenKeeper(Disk(long), token.binding)
    with caplog.at_level(logging.INFO, "cryptoproto.licensing"):
        assert await keeper.keep(b"box", token, START_NS) == long
    assert "the cached token lasts longer (until 2026-09-22 14:13:20+00:00) than the new one" in caplog.text


async def test_a_disk_that_hangs_does_not_hold_a_token_back(disk: Disk, token: LicenseToken) -> None:
    keeper = TokenKeeper(disk, token.binding, patience_s=0.001)
    disk.free.clear()
    assert await keeper.keep(b"box", token, START_NS) == token
    assert "writing takes more than 0.001 s" in str(keeper.error)
    assert await keeper.retry(START_NS) is None  # one write at a time
    await keeper.close()  # which does not wait for ever either
    disk.free.set()
    assert keeper._writing is not None
    await keeper._writing
    assert await keeper.retry(START_NS) == token
    assert keeper.error is None


async def test_a_write_that_fails_after_nobody_waited_for_it(disk: Disk, token: LicenseToken) -> None:
    keeper = TokenKeeper(disk, token.binding, patience_s=0.001)
    disk.free.clear()
    disk.error = TokenCacheError("disk full")
    await keeper.keep(b"box", token, START_NS)
    disk.free.set()
    assert keeper._writing is not None
    await asyncio.wait([keeper._writing])
    disk.error = None
    assert await keeper.retry(START_NS) == token


async def test_a_newer_token_is_not_forgotten_while_an_older_one_is_written(
    gateway: KeyPair, disk: Disk, token: LicenseToken
) -> None:
    keeper = TokenKeeper(disk, token.binding)
    disk.free.clear()
    first = asyncio.create_task(keeper.keep(b"old", token, START_NS))
    await disk.busy.wait()
    newer = token_for(gateway, life_s=8000)
    assert await keeper.keep(b"new", newer, START_NS) == newer
    disk.free.set()
    assert await first == token
    assert await keeper.retry(START_NS) == newer
    assert disk.token == newer


async def test_cancelling_leaves_the_write_to_close(disk: Disk, token: LicenseToken) -> None:
    keeper = TokenKeeper(disk, token.binding)
    disk.free.clear()
    keeping = asyncio.create_task(keeper.keep(b"box", token, START_NS))
    await disk.busy.wait()
    keeping.cancel()
    await asyncio.wait([keeping])
    disk.free.set()
    await keeper.close()
    assert disk.token == token


async def test_a_cancelled_write_is_not_an_error(disk: Disk, token: LicenseToken) -> None:
    keeper = TokenKeeper(disk, token.binding, patience_s=0.001)
    disk.free.clear()
    await keeper.keep(b"box", token, START_NS)
    assert keeper._writing is not None
    keeper._writing.cancel()
    await asyncio.wait([keeper._writing])
    disk.free.set()
    assert await keeper.retry(START_NS) == token


async def test_why_a_cached_token_cannot_be_used_is_logged_once(
    token: LicenseToken, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = TokenKeeper(Disk(token), token.binding)
    for _ in range(3):
        assert await keeper.load(START_NS + 7200 * SECOND) is None
    assert isinstance(keeper.error, InvalidToken)
    assert caplog.text.count("the cached token cannot be used: the token expired at") == 1
