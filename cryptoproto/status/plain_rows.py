"""Orders, fills, states, balances and throttling as JSON values.

Amounts are strings of plain digits, times are unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from ..client import MetricsSnapshot, Order, StateChange
from ..exceptions import ConfigurationError
from ..messages import Balance, OwnTrade, Side, plain

__all__ = ["Row", "balance_rows", "digits", "fill_row", "order_row", "state_row", "throttling_row"]

Row: TypeAlias = dict[str, Any]


def digits(value: Decimal) -> str:
    """*value* in plain digits. Absurd exponents, which only a faulty exchange sends, stay in scientific notation."""
    try:
        return plain(value)
    except ConfigurationError:
        return str(value)


def order_row(order: Order) -> Row:
    """An order that has not ended."""
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "trade_pair": order.trade_pair,
        "side": order.side.value,
        "amount": digits(order.amount),
        "remaining": digits(order.remaining),
        "filled": digits(order.filled),
        "price": digits(order.price),
        "time_in_force": None if order.time_in_force is None else order.time_in_force.value,
        "status": order.status.value,
        "created_at": order.created_ns / 1e9,
    }


def fill_row(trade: OwnTrade) -> Row:
    """A fill."""
    return {
        "at": trade.time[0] + trade.time[1] / 1e6,
        "order_id": trade.order_id,
        "client_order_id": trade.client_order_id,
        "trade_pair": trade.trade_pair,
        "side": (Side.BUY if trade.bought else Side.SELL).value,
        "amount": digits(trade.amount),
        "price": digits(trade.price),
        "maker": trade.maker,
    }


def state_row(change: StateChange, at: float) -> Row:
    """A state, and when it was entered."""
    return {
        "at": at,
        "state": change.state.value,
        "reason": change.reason,
        "attempt": change.attempt,
        "replayed": change.replayed,
        "delay_s": change.delay_s,
        "error": None if change.error is None else type(change.error).__name__,
    }


def balance_rows(balances: Mapping[str, Balance]) -> dict[str, Row]:
    """Balances by currency, in alphabetical order."""
    return {
        currency: {"available": digits(balance.available), "on_hold": digits(balance.on_hold)}
        for currency, balance in sorted(balances.items())
    }


def throttling_row(metrics: MetricsSnapshot) -> Row:
    """How the exchange and the client's own rate limit hold messages back, and what was throttled lately."""
    gauges = metrics.gauges
    return {
        "throttled": metrics.counters["throttled"],
        "hold_s": round(gauges["throttling_hold_s"], 1),
        "pacing_depth": int(gauges["pacing_depth"]),
        "pacing_hold_s": round(gauges["pacing_hold_s"], 1),
        "recent": [
            {
                "at": each.at_ns / 1e9,
                "level": each.level,
                "request_id": each.request_id,
                "order_id": each.order_id,
                "hold_s": each.hold_s,
            }
            for each in metrics.throttlings
        ],
    }
