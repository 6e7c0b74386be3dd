"""Placing orders, without an exchange."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.link import Link
from cryptoproto.client.order_calls import OrderCalls
from cryptoproto.client.order_checks import OrderChecks
from cryptoproto.client.placing import Placing
from cryptoproto.client.submission import Submission

ORDER: dict[str, Any] = {
    "amount": "1", "price": "100", "time_in_force": "gtc", "ttl": 0,
    "client_order_id": 7, "timeout": 5.0, "wait": True, "resend": None,
}  # fmt: skip


class Desk:
    """Placing with an order entry that takes everything."""

    def __init__(self, limits: cp.OrderLimits | None = None) -> None:
        self.orders = cp.OrderTable()
        self.sent: list[Submission] = []
        calls = OrderCalls(Link(), self.orders, self, resend=False, order_ids=None)
        self.placing = Placing(self, calls, OrderChecks.of(None, limits, self.orders))

    async def submit(self, submission: Submission, *, wait: bool) -> None:
        await asyncio.sleep(0)
        self.sent.append(submission)


async def test_an_order_is_checked_while_others_are_on_their_way() -> None:
    desk = Desk(cp.OrderLimits(max_open_value=150))
    first = asyncio.ensure_future(desk.placing.place("BTC_USD", "buy", **ORDER))
    await asyncio.sleep(0)
    with pytest.raises(cp.OrderInvalid, match="max_open_value"):
        await desk.placing.place("BTC_USD", "buy", **ORDER)
    assert (await first).client_order_id == 7
    assert [each.order for each in desk.sent] == [await first]


async def test_an_order_without_checks() -> None:
    desk = Desk()
    order = await desk.placing.place("BTC_USD", "sell", **ORDER)
    assert order.side is cp.Side.SELL
    assert desk.sent[0].pending.client_order_id == 7
