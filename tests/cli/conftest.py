"""An exchange that commands connect to, and a folder with the key files that they need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell


@pytest.fixture
def shell(tmp_path: Path, alice_key: cp.PrivateKey) -> Shell:
    """A shell in a folder that holds the key files ``alice.pem`` and ``alice.pub``."""
    alice_key.save(tmp_path / "alice.pem")
    alice_key.public_key.save(tmp_path / "alice.pub")
    return Shell(tmp_path)


@pytest.fixture
def venue(shell: Shell, alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> Iterator[Exchange]:
    """A running exchange with money for alice; the commands of *shell* connect to it as alice."""
    exchange_key.public_key.save(shell.folder / "exchange.pub")
    with Exchange(private_key=exchange_key, book_interval=0.001) as exchange:
        exchange.register("alice", alice_key.public_key, {"USD": "100000", "BTC": "2"})
        shell.environment |= {
            "CRYPTOPROTO_URL": exchange.url,
            "CRYPTOPROTO_MARKET_DATA_URL": exchange.market_data_url,
            "CRYPTOPROTO_CLIENT_ID": "alice",
            "CRYPTOPROTO_KEY": "alice.pem",
            "CRYPTOPROTO_SERVER_KEY": "exchange.pub",
        }
        yield exchange
