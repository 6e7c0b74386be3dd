"""The client's own executions."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cryptoproto.messages import (
    OwnTrade,
)

D = Decimal


@pytest.mark.parametrize(
    ("maker", "maker_buy", "bought"),
    [(True, True, True), (True, False, False), (False, True, False), (False, False, True)],
)
def test_who_bought(*, maker: bool, maker_buy: bool, bought: bool) -> None:
    assert OwnTrade(1, "A_B", D(1), D(1), maker=maker, maker_buy=maker_buy, time=(0, 0)).bought is bought


def test_when_it_happened() -> None:
    trade = OwnTrade(1, "A_B", D(1), D(1), maker=True, maker_buy=True, time=(1700000000, 5))
    assert trade.at == datetime(2023, 11, 14, 22, 13, 20, 5, tzinfo=UTC)
