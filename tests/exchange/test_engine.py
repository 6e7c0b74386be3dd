"""The engine: its options, and what it says about itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.exchange.engine import DEFAULT_PAIRS, Engine


def test_asking_for_an_unknown_client() -> None:
    engine = Engine()
    with pytest.raises(cp.ConfigurationError, match="unknown client 'alice'"):
        engine.balances("alice")
    with pytest.raises(cp.ConfigurationError, match="unknown client 'alice'"):
        engine.open_orders("alice")


def test_pairs_and_fees_are_checked() -> None:
    assert Engine().trade_pairs == DEFAULT_PAIRS
    assert Engine(trade_pairs=["A_B"]).trade_pairs == ("A_B",)
    for pairs in (["BTCUSD"], ["_USD"], ["BTC_"], ["A_B_C"], ["USD_USD"], [""]):
        with pytest.raises(cp.ConfigurationError, match="must name two currencies"):
            Engine(trade_pairs=pairs)
    with pytest.raises(cp.ConfigurationError, match="given twice"):
        Engine(trade_pairs=["A_B", "A_B"])
    with pytest.raises(cp.ConfigurationError, match="at least one"):
        Engine(trade_pairs=[])
    with pytest.raises(cp.ConfigurationError, match="must be less than 1"):
        Engine(maker_fee=Decimal(1))
    with pytest.raises(cp.ConfigurationError, match=r"taker_fee=-0\.1 must be zero or more"):
        Engine(taker_fee=Decimal("-0.1"))
    wrong: Any = 0.001
    with pytest.raises(cp.ConfigurationError, match=r"maker_fee=0\.001 must be a Decimal"):
        Engine(maker_fee=wrong)
