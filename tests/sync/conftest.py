"""What the tests of the synchronous client share: an exchange in a thread, and the rule that no thread is left."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.sync_client import threads


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until = time.monotonic() + 10
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    assert not threads()


@pytest.fixture
def exchange(no_thread_is_left: None, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Iterator[Exchange]:
    with Exchange(private_key=exchange_key) as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "100000", "BTC": "5"})
        exchange.register("bob", alice_key.public_key, balances={"USD": "100000", "BTC": "5"})
        yield exchange
