"""One order while its events are read."""

from __future__ import annotations

from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.history.order_building import OrderBuilding
from cryptoproto.history.reader import SentOrder
from cryptoproto.messages import PlaceOrder


@pytest.mark.parametrize(
    ("kind", "time_in_force", "side"),
    [
        (cp.PlaceBuyLimitOrder, "gtc", "buy"),
        (cp.PlaceSellLimitOrder, "gtc", "sell"),
        (cp.PlaceBuyFoKOrder, "fok", "buy"),
        (cp.PlaceSellFoKOrder, "fok", "sell"),
        (cp.PlaceBuyIoCOrder, "ioc", "buy"),
        (cp.PlaceSellIoCOrder, "ioc", "sell"),
    ],
)
def test_terms_are_in_the_kind_of_message(kind: type[PlaceOrder], time_in_force: str, side: str) -> None:
    order: Any = OrderBuilding.of(SentOrder(5_000_000, None, kind("BTC_USD", "1", "100", 7, 60))).record()
    assert (order.time_in_force.value, order.side.value, order.ttl, order.status) == (
        time_in_force,
        side,
        60,
        "pending",
    )
    assert (order.amount, order.price, order.client_order_id) == (1, 100, 7)
    assert order.began_at == order.sent_at
    assert [change.what for change in order.changes] == ["sent"]
