"""A strategy that sends what it likes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import msgspec
from nats.aio.client import Client as Nats

import cryptoproto as cp
from cryptoproto.gateway.calls import CallCancel, CallPlace, Hello, OutcomeOf, Reply, Welcome, encode
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.nats_connection import close_nats, open_nats
from cryptoproto.gateway.strategy_ids import strategy_ids
from cryptoproto.messages import encode as encode_message

__all__ = ["RawStrategy"]


class RawStrategy:
    """Knows the owner's fence and clock, and what it has to say.

    Attributes:
        number: of the strategy.
        fence: of the owner.
    """

    def __init__(self, nc: Nats, name: str) -> None:
        self.nc = nc
        self.number = 0
        self.fence = 0
        self.ids = strategy_ids(1)
        self._subject = Names("alice").command(name)

    @classmethod
    @asynccontextmanager
    async def named(cls, nats_url: str, name: str) -> AsyncIterator[Self]:
        nc = Nats()
        await open_nats(nc, nats_url, "raw", inbox=f"_INBOX.{name}")
        raw = cls(nc, name)
        try:
            reply = await raw.ask(encode(Hello()))
            raw.fence = reply.fence
            if reply.has_result:
                raw.number = msgspec.json.decode(reply.result, type=Welcome).number
                raw.ids = strategy_ids(raw.number)
            yield raw
        finally:
            await close_nats(nc)

    async def ask(self, data: bytes, timeout: float = 10) -> Reply:
        message = await self.nc.request(self._subject, data, timeout=timeout)
        return msgspec.json.decode(message.data, type=Reply)

    async def publish(self, data: bytes) -> None:
        await self.nc.publish(self._subject, data, reply=self.nc.new_inbox())

    def place(
        self, command: str = "a", *, deadline: float | None = None, fence: int | None = None, **more: Any
    ) -> bytes:
        terms: dict[str, Any] = {
            "trade_pair": "BTC_USD",
            "amount": "0.1",
            "price": "100",
            "client_order_id": self.ids.next(),
        } | more
        return self.call(command, encode_message(cp.PlaceBuyLimitOrder(**terms)), deadline=deadline, fence=fence)

    def call(self, command: str, payload: bytes, *, deadline: float | None = None, fence: int | None = None) -> bytes:
        limit = time.monotonic() + 5 if deadline is None else deadline
        return encode(CallPlace(command, self.fence if fence is None else fence, limit, msgspec.Raw(payload)))

    def cancel(self, order_id: int, command: str = "c") -> bytes:
        return encode(CallCancel(command, self.fence, time.monotonic() + 5, order_id))

    def outcome(self, command: str, given_at: float | None = None) -> bytes:
        at = time.monotonic() if given_at is None else given_at
        return encode(OutcomeOf(command, self.fence, self.fence, at))
