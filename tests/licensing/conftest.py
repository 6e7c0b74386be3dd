"""What the licensing tests share: keys, a manager in memory, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cryptoproto.licensing import (
    KeyPair,
    Keyring,
    LicenseManager,
    LicenseRequest,
    LicenseToken,
    TokenBinding,
    config_hash,
)
from tests.support.licensing.asker import Asker
from tests.support.licensing.samples import full_request
from tests.support.licensing.simulated_time import SECOND, START_NS, SimulatedClock


@pytest.fixture
def gateway() -> KeyPair:
    return KeyPair.generate()


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.generate(START_NS)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def manager(keyring: Keyring, clock: SimulatedClock) -> Iterator[LicenseManager]:
    with LicenseManager(":memory:", keyring, clock=clock.true_ns, actor="tester") as manager:
        yield manager


@pytest.fixture
def asker(manager: LicenseManager, gateway: KeyPair, clock: SimulatedClock) -> Asker:
    return Asker(manager, gateway, clock)


@pytest.fixture(scope="module")
def request_message() -> bytes:
    return LicenseRequest(full_request()).encode()


@pytest.fixture(scope="module")
def token_message() -> bytes:
    binding = TokenBinding(KeyPair.generate().public_key, "roq-deribit", config_hash("roq-deribit", ["A1"]))
    return LicenseToken.issue(
        binding, now_ns=START_NS, expires_ns=START_NS + 60 * SECOND, request_nonce=bytes(16)
    ).encode()
