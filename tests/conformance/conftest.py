"""The keys of the peers."""

from __future__ import annotations

import pytest

import cryptoproto as cp


@pytest.fixture(scope="session")
def keys(alice_key: cp.PrivateKey, bob_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> dict[str, cp.PrivateKey]:
    return {"alice": alice_key, "bob": bob_key, "exchange": exchange_key}
