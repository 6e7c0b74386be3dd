"""What a fill is paid out of."""

from __future__ import annotations

from decimal import Decimal

from cryptoproto.history import paid
from tests.support.histories import trade


def test_a_seller_pays_the_amount() -> None:
    assert paid(trade(1, "0.5", "100", side="sell")) == ("BTC", Decimal("0.5"))
    assert paid(trade(1, "0.5", "100", side="sell", maker=False)) == ("BTC", Decimal("0.5"))


def test_a_buyer_pays_price_times_amount_rounded_down() -> None:
    assert paid(trade(1, "0.00000003", "0.5")) == ("USD", Decimal("0.00000001"))
    assert paid(trade(1, "2", "100", maker=False)) == ("USD", Decimal(200))
