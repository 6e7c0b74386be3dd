"""Limits of a strategy as values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.gateway import StrategyLimits


def test_limits_are_off_by_default() -> None:
    assert msgspec.json.encode(StrategyLimits()) == b"{}"


def test_limits_come_back_from_json_as_they_were() -> None:
    limits = StrategyLimits(
        max_orders_per_second=5, max_open_orders=3, max_open_value={"USD": Decimal("0.10")}, price_band=Decimal("0.05")
    )
    assert msgspec.json.decode(msgspec.json.encode(limits), type=StrategyLimits) == limits


def test_only_what_is_named_changes() -> None:
    limits = StrategyLimits().changed({"max_open_orders": 3, "max_open_value": {"USD": "100", "EUR": "5"}})
    assert limits == StrategyLimits(max_open_orders=3, max_open_value={"USD": Decimal(100), "EUR": Decimal(5)})
    assert limits.changed({"max_open_value": {"EUR": None}, "price_band": "0.1"}) == StrategyLimits(
        max_open_orders=3, max_open_value={"USD": Decimal(100)}, price_band=Decimal("0.1")
    )
    assert limits.changed({"max_open_orders": None, "max_open_value": None}) == StrategyLimits()


@pytest.mark.parametrize(
    "changes",
    [
        {"max_open_orders": 0},
        {"max_open_orders": "many"},
        {"max_orders_per_second": -1},
        {"max_open_value": {"USD": "0"}},
        {"max_open_value": {"BTC_USD": "1"}},
        {"max_open_value": "100"},
        {"price_band": "NaN"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_is_no_limit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(cp.ConfigurationError, match=next(iter(changes)) if "unknown" not in changes else "no limit"):
        StrategyLimits().changed(changes)
