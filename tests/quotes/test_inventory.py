"""The position: a balance that was compared, and every fill since, less fees."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.quotes.inventory import Inventory, read_amount, read_limits
from tests.support.orders import an_order, traded
from tests.support.quoting import BUY, SELL


def filled(amount: str, side: cp.Side = BUY, fee: str = "0", pair: str = "BTC_USD") -> cp.Order:
    order = cp.Order(client_order_id=1, trade_pair=pair, side=side, amount=10, price=100)
    order.add_trade(traded(amount))
    order.add_fee(Decimal(fee))
    return order


def inventory(long: str | None = "2", short: str | None = "1", flat_at: str | None = "5") -> Inventory:
    return Inventory("BTC_USD", read_limits(long, short, flat_at))


def test_the_position_is_not_known_before_a_balance() -> None:
    unknown = inventory()
    assert unknown.position([filled("1")]) is None
    assert unknown.rooms([]) == {BUY: 0, SELL: 0}
    assert inventory(None, None).rooms([]) == {BUY: None, SELL: None}


def test_fills_since_the_balance_count() -> None:
    counted = inventory()
    orders = [filled("1"), filled("3", SELL), filled("7", pair="ETH_USD"), an_order()]
    counted.compare(Decimal("5.5"), orders)
    assert counted.position(orders) == Decimal("0.5")
    orders[0].add_trade(traded("0.25"))
    orders += [filled("0.5", fee="0.1"), filled("0.05", SELL, fee="100")]  # a seller's fee is in dollars
    assert counted.position(orders) == Decimal("1.1")
    assert counted.rooms(orders) == {BUY: Decimal("0.9"), SELL: Decimal("2.1")}


def test_orders_that_the_client_forgets_go_on_to_count() -> None:
    counted = inventory(short=None)
    counted.compare(Decimal(5), [])
    orders = [filled("1"), filled("0.5")]
    assert counted.position(orders) == Decimal("1.5")
    assert counted.position(orders[1:]) == Decimal("1.5")
    assert counted.position([]) == Decimal("1.5")
    assert counted.rooms([filled("1")]) == {BUY: Decimal("-0.5"), SELL: None}
    assert inventory(None).rooms([])[BUY] is None


def test_without_a_flat_balance_the_first_one_counts() -> None:
    counted = inventory(flat_at=None)
    counted.compare(Decimal(8), [])
    counted.compare(Decimal(9), [])
    assert counted.position([]) == 1


@pytest.mark.parametrize("value", [-1, "x", 1.5, True, "NaN", "Infinity", None, b"1"])
def test_limits_that_cannot_be_used(value: Any) -> None:
    with pytest.raises(cp.ConfigurationError, match="max_long="):
        read_amount("max_long", value)
    assert read_amount("max_long", "0") == 0
