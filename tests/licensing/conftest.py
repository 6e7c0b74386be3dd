"""What the licensing tests share: keys, a manager in memory, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cryptoproto.licensing import KeyPair, Keyring, LicenseManager
from tests.licensing.simulated_time import START_NS, SimulatedClock


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
