"""Public market data."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from cryptoproto.messages import (
    AnonymousTrade,
)

D = Decimal


def test_market_data_counts_milliseconds() -> None:
    trade = AnonymousTrade("A_B", 1, D(1), D(1), maker_buy=True, time=(1700000000, 123))
    assert trade.at == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)
