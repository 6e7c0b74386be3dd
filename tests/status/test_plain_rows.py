"""How orders, fills, states and balances are written."""

from __future__ import annotations

import json
from decimal import Decimal

import cryptoproto as cp
from cryptoproto.client.metrics import Throttling
from cryptoproto.messages import Balance
from cryptoproto.status.plain_rows import balance_rows, digits, fill_row, order_row, state_row, throttling_row


def test_numbers_are_plain_digits() -> None:
    assert digits(Decimal("0.00000001")) == "0.00000001"
    assert digits(Decimal("1E+3")) == "1000"
    assert digits(Decimal("1E+999999")) == "1E+999999", "what no exchange sends must not fill the memory"


def test_an_order() -> None:
    order = cp.Order(
        client_order_id=7, trade_pair="BTC_USD", side="sell", amount="2", price="15000", created_ns=1_500_000_000
    )
    assert order_row(order) == {
        "order_id": None, "client_order_id": 7, "trade_pair": "BTC_USD", "side": "sell", "amount": "2",
        "remaining": "2", "filled": "0", "price": "15000", "time_in_force": "gtc", "status": "pending",
        "created_at": 1.5,
    }  # fmt: skip
    elsewhere = cp.Order.elsewhere(1, "BTC_USD", cp.Side.BUY, None, created_ns=0)
    assert order_row(elsewhere)["time_in_force"] is None


def test_a_fill() -> None:
    trade = cp.OwnTrade(
        order_id=3, trade_pair="BTC_USD", amount=Decimal("0.5"), price=Decimal(100), maker=True, maker_buy=False,
        time=(10, 250_000), client_order_id=9,
    )  # fmt: skip
    assert fill_row(trade) == {
        "at": 10.25, "order_id": 3, "client_order_id": 9, "trade_pair": "BTC_USD", "side": "sell", "amount": "0.5",
        "price": "100", "maker": True,
    }  # fmt: skip


def test_a_state() -> None:
    error = cp.HeartbeatTimeout(None, "silence")
    row = state_row(cp.StateChange(cp.State.WAITING, "silence", attempt=2, delay_s=0.5, error=error), 7.0)
    assert row == {
        "at": 7.0, "state": "waiting", "reason": "silence", "attempt": 2, "replayed": 0, "delay_s": 0.5,
        "error": "HeartbeatTimeout",
    }  # fmt: skip
    assert state_row(cp.StateChange(cp.State.LIVE, "x"), 0)["error"] is None


def test_balances() -> None:
    rows = balance_rows({"USD": Balance(Decimal(5), Decimal("0.5")), "BTC": Balance(Decimal(1), Decimal(0))})
    assert json.dumps(rows) == (
        '{"BTC": {"available": "1", "on_hold": "0"}, "USD": {"available": "5", "on_hold": "0.5"}}'
    )


def test_throttling() -> None:
    metrics = cp.MetricsSnapshot(
        counters={"throttled": 3},
        gauges={"throttling_hold_s": 0.26, "pacing_depth": 2.0, "pacing_hold_s": 0.0},
        histograms={},
        throttlings=[Throttling(at_ns=2_000_000_000, level=4, request_id=5, order_id=6, hold_s=0.004)],
    )
    assert throttling_row(metrics) == {
        "throttled": 3, "hold_s": 0.3, "pacing_depth": 2, "pacing_hold_s": 0.0,
        "recent": [{"at": 2.0, "level": 4, "request_id": 5, "order_id": 6, "hold_s": 0.004}],
    }  # fmt: skip
