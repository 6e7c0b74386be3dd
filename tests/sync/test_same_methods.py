"""The classes have the methods of their asynchronous counterparts, with the same parameters."""

from __future__ import annotations

import inspect

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.client import OrderTable
from cryptoproto.exchange import Exchange as AsyncExchange
from cryptoproto.sync.exchange import Exchange


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (sync.Client, cp.Client),
        (sync.Connection, cp.Connection),
        (sync.MarketData, cp.MarketData),
        (sync.Order, cp.Order),
        (sync.OrderTable, OrderTable),
        (sync.PreparedMessage, cp.PreparedMessage),
        (sync.PreparedOrder, cp.PreparedOrder),
        (Exchange, AsyncExchange),
    ],
)
def test_nothing_is_missing(ours: type, theirs: type) -> None:
    """Every public method and property, with the same parameters and defaults."""
    internal = {
        "of", "elsewhere", "message", "add_trade", "set_remaining", "add_fee", "wake", "waiters", "end",
        "mark_replaced",  # of an order
        "add", "reject", "mark_not_sent", "mark_unknown", "end_unknown", "handlers", "on_trade", "adopt", "withdraw",
        "check_unused", "newest_open",  # of a table
        "is_free_for", "wait_turn", "received_position", "next_sequence", "send_encoded",  # of a connection
        "keep_signed", "sign_now", "release", "is_signed", "wait_signed",  # of a connection
        "request_at", "pause_events", "resume_events", "wait_closed", "open", "give_up",  # of a connection
        "on_open", "on_message", "on_text", "on_heard", "on_closed",
        "attach", "detach",  # of a feed: an observer is called in its event loop
        "expire_orders", "opened", "is_newest", "joined", "left", "monotonic",  # of an exchange
    }  # fmt: skip
    if ours is sync.Order:
        internal.remove("wait_closed")
    for name, member in inspect.getmembers(theirs):
        if name.startswith("_") or name in internal:
            continue
        mine = inspect.getattr_static(ours, name)
        assert not inspect.iscoroutinefunction(mine), name
        if inspect.isfunction(member):
            expected = dict(inspect.signature(member).parameters)
            actual = dict(inspect.signature(mine).parameters)
            if name in ("events", "batches", "states", "reports"):
                assert actual.pop("timeout").default is None
            expected.pop("on_sequence", None)
            assert list(actual) == list(expected), name
            assert [one.default for one in actual.values()] == [one.default for one in expected.values()], name
