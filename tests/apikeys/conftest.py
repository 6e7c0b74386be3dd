"""Fixtures of this room: keys, a clock, gatekeepers of both flows, and a scripted STOMP gateway."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.apikeys.server import ApiKey, ApiKeysConfig, Gatekeeper, KeyStore
from tests.support.apikeys.clocks import Clock, Sleeper
from tests.support.apikeys.samples import READ_WRITE, base64_of, session_gatekeeper_of
from tests.support.apikeys.stomp_wire import Wire


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sleeper(clock: Clock) -> Sleeper:
    return Sleeper(clock)


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


@pytest.fixture
def wire() -> Wire:
    return Wire()
