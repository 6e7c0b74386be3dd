"""What an exchange begins with."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange import DEFAULT_PAIRS
from cryptoproto.exchange.journal import Journal
from cryptoproto.exchange.ledger import MemoryLedger
from cryptoproto.exchange.opening import Opened, open_exchange
from tests.support.recordings import PushFeed


def opened(path: Path | None = None, **options: Any) -> Opened:
    defaults: dict[str, Any] = {
        "feed": None, "private_key": None, "trade_pairs": None, "maker_fee": None, "taker_fee": None, "instruments": (),
    }  # fmt: skip
    return open_exchange(path, **(defaults | options))


def test_in_memory(exchange_key: cp.PrivateKey) -> None:
    found = opened(private_key=exchange_key, taker_fee=Decimal("0.1"))
    assert found.private_key is exchange_key
    assert found.engine.trade_pairs == DEFAULT_PAIRS
    assert found.engine.fees == (Decimal(0), Decimal("0.1"))
    assert isinstance(found.ledger, MemoryLedger)
    assert found.journal is None


def test_a_journal(tmp_path: Path, exchange_key: cp.PrivateKey) -> None:
    found = opened(tmp_path / "a.db", private_key=exchange_key, trade_pairs=["BTC_USD"])
    assert isinstance(found.journal, Journal)
    assert found.ledger is found.journal
    assert found.engine is found.journal.engine
    assert found.private_key.public_key == exchange_key.public_key
    found.journal.close()


def test_a_recorded_market(exchange_key: cp.PrivateKey) -> None:
    assert opened(feed=PushFeed(), private_key=exchange_key).engine.trade_pairs == ()
    market = PushFeed(pairs=["ETH_USD", "BTC_USD"])
    assert opened(feed=market, private_key=exchange_key).engine.trade_pairs == ("BTC_USD", "ETH_USD")


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match="private_key must be a PrivateKey, not str"):
        opened(private_key="secret")
    with pytest.raises(cp.ConfigurationError, match="an exchange with feed= has no journal"):
        opened(tmp_path / "a.db", feed=PushFeed())
