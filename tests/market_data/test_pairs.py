"""What a feed knows of its pairs besides their books."""

from __future__ import annotations

from decimal import Decimal

import pytest

import cryptoproto as cp
from cryptoproto.market_data.pairs import Pairs
from tests.support.scripted_feed import disabled, enabled, trade

BTC, ETH = cp.Instrument("BTC_USD", tick_size="0.01"), cp.Instrument("ETH_USD", tick_size="0.05")


def rules(*instruments: cp.Instrument) -> cp.TradingRules:
    return cp.TradingRules([each.to_rules() for each in instruments])


def test_rules_replace_each_other_and_outlive_a_connection() -> None:
    pairs = Pairs(None)
    instruments = pairs.instruments
    assert pairs.apply(rules(BTC, ETH))
    assert pairs.instruments == {"BTC_USD": BTC, "ETH_USD": ETH}
    pairs.forget()
    assert pairs.instruments == {"BTC_USD": BTC, "ETH_USD": ETH}
    assert pairs.apply(rules(ETH))
    assert pairs.instruments == {"ETH_USD": ETH}
    assert pairs.instruments is instruments, "clients keep it"


def test_only_the_kept_pairs_are_kept() -> None:
    pairs = Pairs(["ETH_USD"])
    assert pairs.apply(rules(BTC, ETH))
    assert pairs.instruments == {"ETH_USD": ETH}
    assert not pairs.apply(trade(pair="BTC_USD"))
    assert not pairs.apply(enabled("BTC_USD"))
    assert not pairs.apply(disabled("BTC_USD"))
    assert (pairs.trades, pairs.enabled, pairs.disabled) == ({}, set(), set())
    pairs.check_kept("ETH_USD")
    with pytest.raises(cp.ConfigurationError, match="BTC_USD is not among the pairs= of this feed: ETH_USD"):
        pairs.check_kept("BTC_USD")


def test_trades_and_broadcasts() -> None:
    pairs = Pairs(None)
    assert pairs.apply(trade(1, pair="ETH_USD"))
    assert pairs.apply(disabled("BTC_USD", "ETH_USD"))
    assert pairs.apply(enabled("ETH_USD"))
    assert pairs.apply(enabled())
    assert pairs.apply(cp.Unknown("New", {"@type": "New"}))
    assert (pairs.trades, pairs.enabled, pairs.disabled) == (
        {"ETH_USD": trade(1, pair="ETH_USD")},
        {"ETH_USD"},
        {"BTC_USD"},
    )
    pairs.forget()
    assert (pairs.enabled, pairs.disabled) == (set(), set())


@pytest.mark.parametrize("tick", ["0", "-1", "NaN", "1E+999999999", "0.000000001"])
def test_impossible_rules_break_the_protocol(tick: str) -> None:
    pairs = Pairs(None)
    pairs.apply(rules(ETH))
    wrong = cp.InstrumentRules("BTC_USD", Decimal(tick), Decimal(1), Decimal(1), Decimal(1))
    with pytest.raises(cp.DecodeError, match="impossible trading rules: BTC_USD: tick_size"):
        pairs.apply(cp.TradingRules([wrong]))
    assert pairs.instruments == {"ETH_USD": ETH}


def test_pairs_are_a_list() -> None:
    with pytest.raises(cp.ConfigurationError, match=r"pairs='BTC_USD' must be a list of pairs: write \['BTC_USD'\]"):
        Pairs("BTC_USD")
