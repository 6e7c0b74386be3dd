"""A status as a status server sends it, with the same values every time."""

from __future__ import annotations

from typing import Any

__all__ = ["AT", "an_order_row", "status_of"]

AT = 1_700_000_000.0


def an_order_row(order_id: int, side: str = "buy", price: str = "15000.00000000", **changes: Any) -> dict[str, Any]:
    row = {
        "order_id": order_id, "client_order_id": 100 + order_id, "trade_pair": "BTC_USD", "side": side,
        "amount": "1.00000000", "remaining": "0.25000000", "filled": "0.75000000", "price": price,
        "time_in_force": "gtc", "status": "open", "created_at": AT - 10 * order_id,
    }  # fmt: skip
    return row | changes


def status_of(orders: int = 30, **changes: Any) -> dict[str, Any]:
    """The status of alice, with *orders* open orders; *changes* replace parts of it."""
    sides = ("buy", "sell")
    status: dict[str, Any] = {
        "at": AT, "version": "1", "client_id": "alice", "watched_since": AT - 3600, "allow_cancel": True,
        "state": "live", "reason": "everything is known", "position": 17,
        "states": [
            {"at": AT - 3600, "state": "live", "reason": "everything is known", "attempt": 0, "replayed": 0,
             "delay_s": 0.0, "error": None},
            {"at": AT - 60, "state": "waiting", "reason": "nothing was received", "attempt": 1, "replayed": 0,
             "delay_s": 0.4, "error": "HeartbeatTimeout"},
            {"at": AT - 59, "state": "live", "reason": "everything is known", "attempt": 0, "replayed": 3,
             "delay_s": 0.0, "error": None},
        ],
        "balances": {
            "BTC": {"available": "12.50000000", "on_hold": "1.25000000"},
            "USD": {"available": "1234567.89000000", "on_hold": "30000.00000000"},
        },
        "positions": [
            {"trade_pair": "BTC_USD", "position": "13.75000000", "value": "206250.00", "best_bid": "14999.50000000",
             "best_ask": "15000.50000000", "mid": "15000.00", "is_stale": False, "buying": "1.5", "selling": "2.25",
             "own_best_bid": "14999", "own_best_ask": "15001", "fills": 4, "bought": "1", "sold": "0.5", "net": "0.5",
             "profit": "-12.345"},
            {"trade_pair": "ETH_USD", "position": "0", "value": None, "best_bid": None, "best_ask": None, "mid": None,
             "is_stale": True, "buying": "0", "selling": "0", "own_best_bid": None, "own_best_ask": None, "fills": 0,
             "bought": "0", "sold": "0", "net": "0", "profit": None},
        ],
        "unsettled_orders": [],
        "open_orders": [
            an_order_row(number, sides[number % 2], f"{15000 + (number if number % 2 else -number)}.00000000")
            for number in range(1, orders + 1)
        ],
        "fills": [
            {"at": AT - 30 + number, "order_id": number, "client_order_id": None, "trade_pair": "BTC_USD",
             "side": sides[number % 2], "amount": f"0.{number}0000000", "price": "15000.50000000", "maker": number > 3}
            for number in range(1, 9)
        ],
        "latencies": {
            "order_to_acknowledgement": {"count": 120, "mean_ms": 1.2, "p50_ms": 1.125, "p90_ms": 2.0, "p99_ms": 12.5,
                                         "p999_ms": 20.0, "max_ms": 1250.0},
            "request_round_trip": {"count": 9, "mean_ms": 0.2, "p50_ms": 0.104, "p90_ms": 0.3, "p99_ms": 0.4,
                                   "p999_ms": 0.4, "max_ms": 0.4},
            "receive_to_dispatch": {"count": 0, "mean_ms": None, "p50_ms": None, "p90_ms": None, "p99_ms": None,
                                    "p999_ms": None, "max_ms": None},
        },
        "throttling": {"throttled": 2, "hold_s": 0.3, "pacing_depth": 1, "pacing_hold_s": 0.1,
                       "recent": [{"at": AT - 1, "level": 7, "request_id": 5, "order_id": 9, "hold_s": 0.007}]},
        "counters": {"events": 1000}, "gauges": {},
    }  # fmt: skip
    return status | changes
