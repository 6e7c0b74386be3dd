"""What the whole suite shares: keys that are made once."""

from __future__ import annotations

import pytest

import cryptoproto as cp


@pytest.fixture(scope="session")
def alice_key() -> cp.PrivateKey:
    return cp.PrivateKey.generate()


@pytest.fixture(scope="session")
def bob_key() -> cp.PrivateKey:
    return cp.PrivateKey.generate()


@pytest.fixture(scope="session")
def exchange_key() -> cp.PrivateKey:
    return cp.PrivateKey.generate()
