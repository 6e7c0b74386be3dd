"""Keys, a small group and a clock for the tests of API keys."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import pytest

import cryptoproto as cp
from cryptoproto.apikeys import Group, GroupLimits
from cryptoproto.apikeys.server import ApiKey, ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings

READ_WRITE = ("TB_ALLOW_READ", "TB_ALLOW_WRITE")
SMALL_GROUP = Group(base=5, modulus=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF61)  # a prime of 128 bits
SMALL_LIMITS = GroupLimits(minimum_bits=16)


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sleeper:
    """A ``sleep`` that ends when the test says so, and moves the clock by as much."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asleep: asyncio.Queue[tuple[float, asyncio.Future[None]]] = asyncio.Queue()

    async def __call__(self, seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asleep.put_nowait((seconds, done))
        await done

    async def pass_one(self) -> float:
        """Wait until someone sleeps, let that time pass; how long it was."""
        while True:
            seconds, done = await self.asleep.get()
            if not done.done():
                self._clock.now += seconds
                done.set_result(None)
                return seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sleeper(clock: Clock) -> Sleeper:
    return Sleeper(clock)


def base64_of(der: bytes) -> str:
    return base64.b64encode(der).decode()


@pytest.fixture
def keys(alice_key: cp.PrivateKey) -> KeyStore:
    return KeyStore.of(
        ApiKey.parse("TEST_API_KEY", "TEST_API_SECRET", "admin", READ_WRITE),
        ApiKey.parse("TEST_SESSION_API_KEY", base64_of(alice_key.public_key.to_der()), "admin", READ_WRITE),
        ApiKey.parse("READ_ONLY", "READ_ONLY_SECRET", "guest", ["TB_ALLOW_READ"]),
    )


@pytest.fixture
def basic_gatekeeper(keys: KeyStore) -> Gatekeeper:
    return Gatekeeper(ApiKeysConfig(keys))


@pytest.fixture
def session_gatekeeper(keys: KeyStore, clock: Clock) -> Gatekeeper:
    return session_gatekeeper_of(keys, clock)


def session_gatekeeper_of(keys: KeyStore, clock: Callable[[], float]) -> Gatekeeper:
    return Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=True, group=SMALL_GROUP)), clock=clock)
